"""What pyproject.toml cannot say: the folder ``stages`` is installed as the package ``cordrift``."""

from setuptools import find_packages, setup

# The name ``stages`` is too common to be a top-level package of somebody's environment. In a checkout and in a
# workspace the folder keeps its name: `python -m stages.train` runs the code of the current folder.
setup(
    package_dir={"cordrift": "stages"},
    packages=["cordrift", *(f"cordrift.{name}" for name in find_packages("stages"))],
    package_data={
        "cordrift": ["models/*/*", "models/*/fold_0/*"],
        "cordrift.core.pages": ["*.html", "*.css"],
    },
)
