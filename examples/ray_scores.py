"""Scores a folder of pictures with Ray Data, on one machine or a cluster: ray_scores.py PICTURES SCORES, a folder of JSON lines."""
import sys

import lfm
import ray


class Score:
    """An actor that has read the model once, and scores batch after batch."""

    def __init__(self):
        self.detector = lfm.Detector(threads=1)  # Ray counts one core for each actor

    def __call__(self, batch):
        records = self.detector(list(batch["bytes"]))
        columns = {name: [getattr(r, name) for r in records] for name in ("score", "label", "error")}
        return {"path": batch["path"], **columns}


if __name__ == "__main__":
    pictures = ray.data.read_binary_files(sys.argv[1], include_paths=True)
    actors = max(1, int(ray.cluster_resources()["CPU"]) - 1)  # a core is left for reading
    pictures.map_batches(Score, batch_size=32, concurrency=actors).write_json(sys.argv[2])
