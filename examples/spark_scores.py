"""Scores a folder of pictures with PySpark, on one machine or a cluster: spark_scores.py PICTURES SCORES, a folder of JSON lines."""
import sys

import lfm
import pandas as pd
from pyspark.sql import SparkSession


def score(batches):
    """Runs once for each partition, on the worker that has it."""
    detector = lfm.Detector(threads=1)  # Spark counts one core for each task
    for batch in batches:
        records = detector([bytes(content) for content in batch["content"]])
        columns = {name: [getattr(r, name) for r in records] for name in ("score", "label", "error")}
        yield pd.DataFrame({"path": batch["path"], **columns})


if __name__ == "__main__":
    spark = SparkSession.builder.appName("lfm").getOrCreate()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 32)  # pictures in memory at a time
    pictures = spark.read.format("binaryFile").option("recursiveFileLookup", True).load(sys.argv[1])
    pictures.select("path", "content").mapInPandas(score, "path string, score double, label string, error string").write.json(sys.argv[2])
