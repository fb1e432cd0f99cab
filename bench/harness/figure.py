"""One figure that has a target: what was measured, what it must be, and whether it is."""
import dataclasses


@dataclasses.dataclass
class Figure:
    name: str
    unit: str
    value: float | None  # None: could not be had, `note` says why
    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None
    note: str = ""
    details: dict = dataclasses.field(default_factory=dict)

    def passes(self):
        if self.value is None or (self.at_least is None and self.at_most is None):
            return None
        return self.value >= self.at_least if self.at_least is not None else self.value <= self.at_most

    def as_json(self):
        bound = self.at_least if self.at_least is not None else self.at_most
        sign = ">=" if self.at_least is not None else "<="
        return {"name": self.name, "value": self.value, "unit": self.unit, "passes": self.passes(), "bound": bound,
                "bound_text": "" if bound is None else f"{sign} {bound:.3g}", "aim": self.aim, "aim_text": "" if self.aim is None else f"{self.aim:.3g}",
                "note": self.note, "details": self.details}
