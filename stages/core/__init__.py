"""The library of cordrift: pure where it can be, one door per outside tool."""
