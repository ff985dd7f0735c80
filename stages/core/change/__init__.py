"""The change report of a release, and its provenance by digest.

Its three parts are those of a predetermined change control plan: Description of Modifications, Modification Protocol,
Impact Assessment. U.S. Food and Drug Administration, "Marketing Submission Recommendations for a Predetermined Change
Control Plan for Artificial Intelligence-Enabled Device Software Functions", docket FDA-2022-D-2628, final guidance of
4 December 2024, issued again on 18 August 2025. Such a plan says beforehand what may change and how it is tested; this
report tells one change in the same order. It is no submission and claims no conformity.
"""
