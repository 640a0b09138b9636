"""The type checker that jaxtyping runs on the package under pytest: beartype, with ints allowed where floats are."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
