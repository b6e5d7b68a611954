"""LFM: tells real photos from AI-generated and manipulated ones.

>>> import lfm
>>> detector = lfm.Detector()
>>> detector("photo.jpg").score                       # 0 = real, 1 = generated
>>> [r.label for r in detector(["a.jpg", open("b.png", "rb").read(), pixels])]

Scores are those of `lfm-cuda detect`, bit for bit on the same machine.
"""
from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from typing import Any, Dict, Iterable, List, Optional, Union, overload

import numpy as np

from ._lfm import Error, Evidence, Record, Scorer

__all__ = ["Detector", "Error", "Evidence", "Record", "default_model", "train"]

#: A path, the bytes of a file, or pixels: uint8, height x width x 3, of NumPy or anything that speaks DLPack; those on a GPU are copied.
Picture = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, np.ndarray, Any]

_HERE = pathlib.Path(__file__).parent


def default_model() -> str:
    """The model used where none is named: $LFM_MODEL, else the one that comes with this package."""
    return os.environ.get("LFM_MODEL") or str(_HERE / "share" / "lfm-cuda" / "default.lfmw")


def _is_one(pictures: Any) -> bool:
    if isinstance(pictures, (str, bytes, bytearray, memoryview, os.PathLike)):
        return True
    return getattr(pictures, "ndim", None) == 3


_DLPACK_HOST = (1, 3, 11)  # kinds of memory that a CPU reads: its own, and what CUDA or ROCm have pinned


def _from_memory(pixels: Any) -> np.ndarray:
    """A view of pixels in the computer's memory; a copy of those on a GPU, by the array's own means."""
    on_gpu = pixels.__dlpack_device__()[0] not in _DLPACK_HOST if hasattr(pixels, "__dlpack_device__") else not hasattr(pixels, "__dlpack__")
    if not on_gpu:
        return np.from_dlpack(pixels)
    for copy in ("cpu", "get"):  # PyTorch's and CuPy's words for it
        if callable(getattr(pixels, copy, None)):
            return np.asarray(getattr(pixels, copy)())
    raise TypeError("these pixels are on a GPU: copy them to the computer's memory first")


def _plain(picture: Any) -> Any:
    """What the compiled part takes: bytes, a contiguous array, or a path as text."""
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return bytes(picture)
    if isinstance(picture, np.ndarray) or hasattr(picture, "__dlpack__") or hasattr(picture, "__cuda_array_interface__"):
        pixels = picture if isinstance(picture, np.ndarray) else _from_memory(picture)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise TypeError(f"pixels are uint8, height x width x 3; these are {pixels.dtype}, {pixels.shape}")
        return np.ascontiguousarray(pixels)
    return os.fspath(picture)


class Detector:
    """A model on a device. May be called from several threads (one works at a time, the others' Python goes on), and pickled: what is sent
    is its options, and the model is read anew where it arrives.

    model: a weight file, or several with commas between; without it default_model().
    device: auto, cpu, cuda, cuda:N, cuda:all. precision: auto, fp32, tf32, fp16, bf16.
    view: resize, native, center, tiles; the model's own by default. threshold: the score above which a picture is called fake.
    stable: score mild re-deliveries too. threads, batch: 0 is what suits the machine.
    """

    #: The columns of predict_proba(), as scikit-learn names them.
    classes_ = np.array(["real", "fake"])

    def __init__(self, model: Union[str, "os.PathLike[str]", None] = None, device: str = "auto", *, precision: str = "auto",
                 view: Optional[str] = None, threshold: Optional[float] = None, tiles: int = 9, stable: bool = False, threads: int = 0,
                 batch: int = 0) -> None:
        self._options: Dict[str, Any] = dict(model=os.fspath(model) if model is not None else default_model(), device=device,
                                             precision=precision, view=view, threshold=threshold, tiles=tiles, stable=stable,
                                             threads=threads, batch=batch)
        self._scorers: Dict[str, Scorer] = {}
        self._scorer()  # what is wrong with the options or the model is told here

    def _scorer(self, also: str = "") -> Scorer:
        """also: what is asked beside scores, "features" or "evidence", which take memory or time."""
        if also not in self._scorers:
            self._scorers[also] = Scorer(features=also == "features", evidence=also == "evidence", **self._options)
        return self._scorers[also]

    def __getstate__(self) -> Dict[str, Any]:
        return self._options

    def __setstate__(self, options: Dict[str, Any]) -> None:
        self._options, self._scorers = options, {}

    def __repr__(self) -> str:
        return f"lfm.Detector({self._options['model']!r}, {self._scorer().description})"

    @property
    def device(self) -> str:
        """What scores, for people."""
        return self._scorer().description

    @property
    def view(self) -> str:
        return self._scorer().view

    @property
    def threshold(self) -> float:
        return self._scorer().threshold

    # A str is also an Iterable[str], and bytes one of numbers: the first that fits is meant.
    @overload
    def __call__(self, pictures: Union[str, "os.PathLike[str]", bytes]) -> Record: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, pictures: Iterable[Picture]) -> List[Record]: ...

    def __call__(self, pictures: Any) -> Any:
        """A record of one picture, or a list of records of several, in their order. A picture that can't be scored is a record with an
        error; only a failing device raises lfm.Error."""
        return self._score(pictures)

    def explain(self, pictures: Any) -> Any:
        """As calling it; the records also have `evidence`: which places of the picture the logit comes from."""
        return self._score(pictures, "evidence")

    def features(self, pictures: Any) -> np.ndarray:
        """What enters the network's last layer, a row a picture (float32); NaN where one can't be scored."""
        records = self._score([pictures] if _is_one(pictures) else pictures, "features")
        columns = max((len(r.features) for r in records), default=0)
        rows = np.full((len(records), columns), np.nan, np.float32)
        for row, record in zip(rows, records):
            if record.scored:
                row[:] = record.features
        return rows

    def predict_proba(self, pictures: Iterable[Picture]) -> np.ndarray:
        """Shares of real and fake, [pictures, 2] as in classes_; NaN where a picture can't be scored."""
        scores = np.array([np.nan if r.score is None else r.score for r in self._score(list(pictures))], np.float64)
        return np.stack([1 - scores, scores], axis=1)

    def predict(self, pictures: Iterable[Picture]) -> np.ndarray:
        """"real", "fake" or "unsure" by the threshold; "" where a picture can't be scored."""
        return np.array([r.label or "" for r in self._score(list(pictures))])

    def logits(self, windows: Any) -> np.ndarray:
        """The network's logits (float32) of windows that are decoded and cut already: uint8, n x height x width x 3, contiguous. Those of
        NumPy, or of what speaks DLPack. In the memory of the detector's GPU they are read where they lie, without a copy; work on them that
        was launched before is waited for. No view, texture or delivery plays a part, but for the network's own size."""
        if isinstance(windows, np.ndarray):
            windows = np.ascontiguousarray(windows)
        return self._scorer().logits(windows)

    def scores(self, windows: Any) -> np.ndarray:
        """As logits(); their calibrated probabilities of being generated, 0 to 1."""
        scorer = self._scorer()
        return np.array([scorer.score_of(float(logit)) for logit in self.logits(windows)], np.float32)

    def _score(self, pictures: Any, also: str = "") -> Any:
        one = _is_one(pictures)
        records = self._scorer(also).score([_plain(p) for p in ([pictures] if one else pictures)])
        return records[0] if one else records


def _program() -> str:
    own = _HERE / "bin" / "lfm-cuda"
    found = os.environ.get("LFM_PROGRAM") or (str(own) if own.exists() else shutil.which("lfm-cuda"))
    if not found:
        raise Error("the program lfm-cuda is missing: it trains, and comes with the wheel, or with an installation in PATH")
    return found


def train(data: Union[str, "os.PathLike[str]", None] = None, out: Union[str, "os.PathLike[str]", None] = None, **options: Any) -> pathlib.Path:
    """`lfm-cuda train`, whose options these are: max_steps=100 is --max-steps 100, resume=True is --resume, a list gives a value several
    times. Returns the best weights (out/best.lfmw; last.lfmw without validation). Raises lfm.Error with what the program said. Its log
    goes to standard error unless quiet=True."""
    command = [_program(), "train"]
    for name, value in {"data": data, "out": out, **options}.items():
        if value is None or value is False:
            continue
        command.append("--" + name.replace("_", "-"))
        if value is not True:
            command += [os.fspath(v) if isinstance(v, os.PathLike) else str(v) for v in (value if isinstance(value, (list, tuple)) else [value])]
    done = subprocess.run(command, stderr=subprocess.PIPE if options.get("quiet") else None, text=True)
    if done.returncode != 0:
        raise Error((done.stderr or "").strip() or f"{command[0]} train ended with exit code {done.returncode}")
    best = pathlib.Path(os.fspath(out or ".")) / "best.lfmw"
    return best if best.exists() else best.with_name("last.lfmw")
