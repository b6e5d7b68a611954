"""The Python package, held to the bits of the program. LFM_PROGRAM: the program, if it isn't in PATH."""
import ctypes
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import threading
import time

import numpy as np
import pytest

import lfm

PROGRAM = os.environ.get("LFM_PROGRAM") or shutil.which("lfm-cuda")
SAMPLES = sorted((pathlib.Path(__file__).parents[2] / "samples").glob("*.png"))
MODEL = pathlib.Path(__file__).parents[2] / "weights" / "default.lfmw"


@pytest.fixture(scope="module")
def detector():
    return lfm.Detector(MODEL, "cpu")


def program(*arguments):
    if not PROGRAM:
        pytest.skip("the program is missing: set LFM_PROGRAM")
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def write_ppm(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P6\n%d %d\n255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes())
    return path


def noise(seed, height=64, width=72):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


class _Managed(ctypes.Structure):
    """DLManagedTensor of DLPack's header."""

    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64), ("manager_ctx", ctypes.c_void_p),
                ("deleter", ctypes.c_void_p)]


def said_to_be_on_a_gpu(pixels):
    """The array for DLPack, with the word that it lies in the memory of CUDA's first device."""
    shape = (ctypes.c_int64 * pixels.ndim)(*pixels.shape)
    managed = _Managed(pixels.ctypes.data, 2, 0, pixels.ndim, 1, 8, 1, shape, None, 0, None, None)

    class OnGpu:
        kept = pixels, shape, managed

        def __dlpack_device__(self):
            return 2, 0

        def __dlpack__(self, **options):
            capsule = ctypes.pythonapi.PyCapsule_New
            capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
            return capsule(ctypes.addressof(managed), b"dltensor", None)

    return OnGpu()


def test_records_are_those_of_the_program(detector):
    records = detector(SAMPLES)
    lines = program("detect", "--model", MODEL, "--device", "cpu", "--format", "jsonl", *SAMPLES).splitlines()
    assert len(records) == len(lines) == len(SAMPLES) > 0
    for record, line in zip(records, map(json.loads, lines)):
        assert (record.path, record.label, record.width, record.height) == (line["path"], line["label"], line["width"], line["height"])
        assert np.float32(record.logit) == np.float32(line["logit"]) and np.float32(record.score) == np.float32(line["score"])
        assert record.windows == line["windows"] and record.error is None


def test_paths_bytes_and_pixels_are_one_picture(tmp_path, detector):
    pixels = noise(1, 300, 320)
    path = write_ppm(tmp_path / "a.ppm", pixels)
    strided = np.repeat(pixels, 2, axis=1)[:, ::2]
    logits = [detector(p).logit for p in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), pixels, strided)]
    assert len(set(logits)) == 1
    assert [r.logit for r in detector(np.stack([pixels, pixels]))] == logits[:2]
    assert detector(pixels).path is None


def test_pixels_of_other_libraries(detector):
    class Other:
        """An array of a library that speaks DLPack, in this kind of memory."""

        def __init__(self, pixels, kind):
            self.pixels, self.kind, self.ndim = pixels, kind, 3

        def __dlpack_device__(self):
            return self.kind, 0

        def __dlpack__(self, **options):
            return self.pixels.__dlpack__(**options)

    class OnGpu(Other):
        def cpu(self):
            return self.pixels

    expected = detector(noise(1)).logit
    assert detector(Other(noise(1), 1)).logit == expected
    assert detector(OnGpu(noise(1), 2)).logit == expected
    with pytest.raises(TypeError, match="GPU"):
        detector(Other(noise(1), 2))


def test_logits_of_windows(detector):
    native = lfm.Detector(MODEL, "cpu", view="native")
    windows = np.stack([noise(i, 256, 256) for i in range(3)])
    records = native(windows)
    assert native.logits(windows).tolist() == [np.float32(r.logit) for r in records]
    assert native.scores(windows).tolist() == [np.float32(r.score) for r in records]
    assert native.logits(windows[:, ::2, ::2]).shape == (3,)  # made contiguous
    for wrong in (windows.astype(np.float32), windows[0], windows[..., :2].copy()):
        with pytest.raises(TypeError, match="uint8"):
            native.logits(wrong)
    with pytest.raises(lfm.Error, match="smaller"):
        native.logits(np.zeros((1, 8, 8, 3), np.uint8))


def test_windows_of_a_gpu_are_taken_by_a_gpu_alone(detector):
    windows = np.stack([noise(i) for i in range(2)])
    with pytest.raises(lfm.Error, match="GPU"):
        detector.logits(said_to_be_on_a_gpu(windows))


def test_what_cannot_be_scored_is_a_record_with_an_error(tmp_path, detector):
    good = write_ppm(tmp_path / "a.ppm", noise(1))
    records = detector([tmp_path / "missing.png", b"no picture", good, noise(2, 8, 8)])
    assert [r.scored for r in records] == [False, False, True, False]
    assert all(r.error and r.logit is None and r.label is None for r in records if not r.scored)
    shares = detector.predict_proba([good, tmp_path / "missing.png"])
    assert shares.shape == (2, 2) and shares[0].sum() == 1 and np.isnan(shares[1]).all()
    assert detector.predict([good, b""]).tolist()[1] == ""


def test_wrong_arguments_are_refused(detector):
    for arguments in ({"model": "/nowhere.lfmw"}, {"model": MODEL, "device": "abacus"}, {"model": MODEL, "view": "sideways"},
                      {"model": MODEL, "precision": "fp1"}):
        with pytest.raises(lfm.Error):
            lfm.Detector(**arguments)
    for picture in (noise(1).astype(np.float32), np.zeros((48, 48, 4), np.uint8)):
        with pytest.raises(TypeError):
            detector(picture)


def test_features_are_those_of_the_program(tmp_path, detector):
    program("detect", "--model", MODEL, "--device", "cpu", "--features", tmp_path / "f.npy", "--output", tmp_path / "o.csv", *SAMPLES)
    rows = detector.features([*SAMPLES, b"no picture"])
    assert np.array_equal(rows[:-1], np.load(tmp_path / "f.npy")) and np.isnan(rows[-1]).all()


def test_evidence_adds_up_to_the_logit():
    detector = lfm.Detector(MODEL, "cpu", view="native")
    first, second = (detector.explain(noise(s)) for s in (1, 2))
    window = first.evidence[0]
    assert window.contributions.shape == window.grad_cam.shape and window.contributions.dtype == np.float32
    biases = [r.logit - sum(w.contributions.sum(dtype=np.float64) for w in r.evidence) for r in (first, second)]
    assert abs(biases[0] - biases[1]) < 1e-3  # logits less evidence are the last layer's bias
    assert detector(noise(1)).logit == first.logit


def test_arrays_outlive_their_records(detector):
    maps = [w.contributions for r in detector.explain([noise(1, 300, 300)]) for w in r.evidence]
    again = [w.contributions.copy() for r in detector.explain([noise(1, 300, 300)]) for w in r.evidence]
    assert all(np.array_equal(a, b) for a, b in zip(maps, again))


def test_other_threads_run_meanwhile(detector):
    turns, done = 0, threading.Event()

    def count():
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    begin = turns
    detector([noise(i, 512, 512) for i in range(8)])
    end = turns
    done.set()
    counter.join()
    assert end - begin >= 3


def test_many_threads_share_a_detector(detector):
    expected, got = [detector(noise(i)).logit for i in range(4)], [None] * 4

    def score(i):
        got[i] = detector(noise(i)).logit

    threads = [threading.Thread(target=score, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == expected


def test_a_detector_can_be_pickled(detector):
    assert pickle.loads(pickle.dumps(detector))(noise(3)).logit == detector(noise(3)).logit


def test_train(tmp_path, monkeypatch):
    if not PROGRAM:
        pytest.skip("the program is missing: set LFM_PROGRAM")
    monkeypatch.setenv("LFM_PROGRAM", PROGRAM)
    for kind in ("0_real", "1_fake"):
        for i in range(2):
            write_ppm(tmp_path / "data" / kind / f"{i}.ppm", noise(i + 10 * (kind == "1_fake")))
    best = lfm.train(data=tmp_path / "data", out=tmp_path / "run", max_steps=1, batch=2, crop=48, device="cpu", quiet=True)
    assert lfm.Detector(best, "cpu")(noise(1)).scored
    with pytest.raises(lfm.Error, match="no-such-option"):
        lfm.train(data=tmp_path / "data", out=tmp_path / "other", no_such_option=1, quiet=True)
