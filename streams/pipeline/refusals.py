"""Why a pack cannot be used: one exception that names the place and the problem."""


class DefinitionError(ValueError):
    """Raised for a pack that is well formed but says something impossible or contradicts itself.

    ``place`` is a path such as ``scenarios[2].when.all[0].feature``; ``problem`` says what is wrong and what would
    be valid.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem
