"""What users write, for type checkers: mypy --strict takes it as it stands (test_types)."""
from __future__ import annotations

import pathlib
from typing import List, Optional, Tuple

import lfm
import numpy as np
import numpy.typing as npt


def worst(folder: pathlib.Path) -> Optional[Tuple[str, float]]:
    detector = lfm.Detector(device="cpu", view="native", threads=2)
    records: List[lfm.Record] = detector(sorted(folder.glob("*.png")))
    scored = [(r.path or "", r.score) for r in records if r.score is not None]
    return max(scored, key=lambda pair: pair[1], default=None)


def of_one(path: str, file: bytes, pixels: npt.NDArray[np.uint8]) -> Tuple[Optional[float], Optional[str], bool]:
    detector = lfm.Detector(lfm.default_model())
    from_pixels: List[lfm.Record] = detector([pixels])
    return detector(path).logit, detector(file).label, from_pixels[0].scored


def heat(path: str) -> float:
    window: lfm.Evidence = lfm.Detector().explain(path).evidence[0]
    return float(window.contributions.sum())


def shares(paths: List[str]) -> Tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    detector = lfm.Detector()
    return detector.predict_proba(paths), detector.features(paths)


def learn(data: pathlib.Path, out: pathlib.Path) -> lfm.Detector:
    try:
        return lfm.Detector(lfm.train(data=data, out=out, epochs=2, quiet=True))
    except lfm.Error as error:
        raise SystemExit(str(error)) from error
