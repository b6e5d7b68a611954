#!/usr/bin/env python3
"""lfm-cuda serve as clients meet it: http_test.py PROGRAM SAMPLES"""

import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM, SAMPLES = sys.argv[1], pathlib.Path(sys.argv[2])
PICTURES = sorted(p for p in SAMPLES.iterdir() if p.suffix in {".jpg", ".png", ".webp"})
TOKEN = "0123456789abcdef0123456789abcdef"


class Server:
    """A server of its own, on a free port."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--port", "0", "--device", "cpu", *options], stderr=subprocess.PIPE, text=True
        )
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"serving http://(?:[\d.]+|\[::1\]):(\d+) ", line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError(f"the server did not start: {self.lines}")
        self.reader = threading.Thread(target=self.read_on, daemon=True)
        self.reader.start()

    def read_on(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def connect(self, timeout=120):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def detect(self, body, query="", headers=None):
        status, _, answer = self.ask("POST", f"/v1/detect{query}", body, headers)
        return status, json.loads(answer)

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(timeout=120)
        self.reader.join()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)


def multipart(parts):
    boundary = "boundary-of-the-test"
    body = b""
    for name, content in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="p"; filename="{name}"\r\n\r\n'.encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def detected(path, *options):
    run = subprocess.run([PROGRAM, "detect", "--device", "cpu", "-q", "--format", "json", *options, path], capture_output=True, check=True)
    return json.loads(run.stdout)[0]


def without_path(record):
    return {key: value for key, value in record.items() if key != "path"}


def check_schema(document, schema, value, where="answer"):
    """What of JSON Schema the description uses."""
    if "$ref" in schema:
        named = document
        for key in schema["$ref"].removeprefix("#/").split("/"):
            named = named[key]
        return check_schema(document, named, value, where)
    if "oneOf" in schema:
        errors = []
        for one in schema["oneOf"]:
            try:
                return check_schema(document, one, value, where)
            except AssertionError as error:
                errors.append(str(error))
        raise AssertionError(f"{where}: {errors}")
    if value is None and schema.get("nullable"):
        return
    types = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool}
    assert isinstance(value, types[schema["type"]]), f"{where}: {value!r} is no {schema['type']}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r}"
    if schema["type"] == "array":
        for i, item in enumerate(value):
            check_schema(document, schema["items"], item, f"{where}[{i}]")
    if schema["type"] == "object":
        for key in schema.get("required", []):
            assert key in value, f"{where}: {key} is missing"
        for key, item in value.items():
            known = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            assert known is not None or "properties" not in schema, f"{where}: {key} is not described"
            if known:
                check_schema(document, known, item, f"{where}.{key}")


class OneServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop(signal.SIGKILL)

    def test_answers_as_detect_does(self):
        for picture in PICTURES:
            status, records = self.server.detect(picture.read_bytes(), f"?name={picture.name}")
            self.assertEqual(status, 200)
            self.assertEqual(records[0]["path"], picture.name)
            self.assertEqual(without_path(records[0]), without_path(detected(picture)))

    def test_stable_as_detect_does(self):
        picture = PICTURES[0]
        status, records = self.server.detect(picture.read_bytes(), "?stable=1")
        self.assertEqual(status, 200)
        self.assertEqual(without_path(records[0]), without_path(detected(picture, "--stable")))
        self.assertGreater(len(records[0]["deliveries"]), 2)

    def test_explains_where_the_score_comes_from(self):
        for query in ("?explain", "?explain=1&stable=true"):
            _, records = self.server.detect(PICTURES[0].read_bytes(), query)
            windows = records[0]["explanation"]
            self.assertEqual(len(windows), records[0]["windows"] - records[0]["empty_windows"])
            for window in windows:
                self.assertEqual(len(window["contributions"]), window["rows"] * window["columns"])
        _, records = self.server.detect(PICTURES[0].read_bytes(), "?explain=0")
        self.assertNotIn("explanation", records[0])

    def test_takes_several_pictures_and_one_that_is_none(self):
        parts = [(p.name, p.read_bytes()) for p in PICTURES] + [("letter.jpg", b"Dear Sir")]
        status, records = self.server.detect(*self.as_body(parts))
        self.assertEqual(status, 200)
        self.assertEqual([r["path"] for r in records], [name for name, _ in parts])
        self.assertIn("error", records[-1])
        self.assertNotIn("/", records[-1]["error"], "no path of the server's")

    @staticmethod
    def as_body(parts):
        body, headers = multipart(parts)
        return body, "", headers

    def test_refuses_what_it_cannot_take(self):
        self.assertEqual(self.server.detect(b"")[0], 400)
        self.assertEqual(self.server.detect(b"no picture")[0], 422)
        self.assertEqual(self.server.detect(PICTURES[0].read_bytes()[:2000])[0], 422)
        self.assertEqual(self.server.detect(*self.as_body([(f"{i}", b"x") for i in range(65)]))[0], 413)
        self.assertEqual(self.server.detect(b"--x--", "", {"Content-Type": "multipart/form-data; boundary=boundary"})[0], 400)
        for method, path in (("GET", "/nothing"), ("GET", "/../etc/passwd"), ("PUT", "/v1/detect"), ("GET", "/v1/detect")):
            status, _, answer = self.server.ask(method, path)
            self.assertEqual(status, 404, path)
            self.assertIn("error", json.loads(answer))

    def test_refuses_pages_from_elsewhere(self):
        status, _, _ = self.server.ask("GET", "/v1/models", headers={"Host": "evil.example"})
        self.assertEqual(status, 421)
        for host in ("localhost:8080", "127.0.0.1", "[::1]:80"):
            self.assertEqual(self.server.ask("GET", "/v1/models", headers={"Host": host})[0], 200)
        _, headers, _ = self.server.ask("GET", "/v1/models", headers={"Origin": "http://evil.example"})
        self.assertNotIn("Access-Control-Allow-Origin", headers)

    def test_survives_clients_that_go_away_or_say_nothing(self):
        body = PICTURES[0].read_bytes()
        head = f"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for sent in (b"", b"GET", b"\0\xff" * 999, b"GET / HTTP/9.9\r\n\r\n", head, head + body[:1000], head + body):
            with socket.create_connection(("127.0.0.1", self.server.port)) as client:
                client.sendall(sent)
        endless = socket.create_connection(("127.0.0.1", self.server.port))
        endless.sendall(head + body[:100])  # and stays
        for sent in (b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                     b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
                     b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as client:
                client.sendall(sent)
                client.settimeout(60)
                with contextlib.suppress(ConnectionError):
                    client.recv(4096)
        self.assertEqual(self.server.detect(body)[0], 200)
        endless.close()

    def test_serves_many_clients_at_once(self):
        expected = {p.name: without_path(detected(p)) for p in PICTURES}

        def ask(i):
            picture = PICTURES[i % len(PICTURES)]
            return picture.name, self.server.detect(picture.read_bytes())

        with concurrent.futures.ThreadPoolExecutor(24) as clients:
            for name, (status, records) in clients.map(ask, range(96)):
                self.assertEqual(status, 200)
                self.assertEqual(without_path(records[0]), expected[name])

    def test_is_what_its_description_says(self):
        status, _, text = self.server.ask("GET", "/openapi.json")
        self.assertEqual(status, 200)
        document = json.loads(text)
        asked = {
            ("post", "/v1/detect"): [(PICTURES[0].read_bytes(), ""), (PICTURES[0].read_bytes(), "?explain=1&stable=1"), (b"x", ""), (b"", "")],
            **{("get", path): [(None, "")] for path in document["paths"] if path != "/v1/detect"},
        }
        described = {(method, path) for path, methods in document["paths"].items() for method in methods}
        self.assertEqual(described, set(asked))
        for (method, path), requests in asked.items():
            for body, query in requests:
                status, headers, answer = self.server.ask(method.upper(), path + query, body)
                response = document["paths"][path][method]["responses"][str(status)]
                if "$ref" in response:
                    response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
                (kind, content), = response["content"].items()
                self.assertTrue(headers["Content-Type"].startswith(kind), headers)
                if kind == "application/json":
                    check_schema(document, content["schema"], json.loads(answer))

    def test_counts_what_it_does(self):
        self.server.detect(PICTURES[0].read_bytes())
        _, _, text = self.server.ask("GET", "/metrics")
        values = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
        self.assertEqual(values["lfm_up"], "1")
        self.assertGreaterEqual(int(values['lfm_requests_total{route="/v1/detect",status="200"}']), 1)
        self.assertGreaterEqual(sum(int(v) for k, v in values.items() if k.startswith("lfm_pictures_total")), 1)
        self.assertEqual(values['lfm_request_seconds_bucket{route="/v1/detect",le="+Inf"}'], values['lfm_request_seconds_count{route="/v1/detect"}'])

    def test_its_page_needs_nothing_from_elsewhere(self):
        status, headers, page = self.server.ask("GET", "/")
        self.assertEqual(status, 200)
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertEqual(headers["Cache-Control"], "no-store")
        for address in re.findall(r'(?:src|href)="([^"]*)"', page.decode()):
            if address == "data:,":
                continue
            self.assertTrue(address.startswith("/"), address)
            self.assertEqual(self.server.ask("GET", address)[0], 200)

    def test_logs_no_word_of_a_picture(self):
        self.server.detect(PICTURES[0].read_bytes(), "?name=holiday-with-anna.jpg")
        deadline = time.monotonic() + 30
        while not any("/v1/detect 200" in line for line in self.server.lines) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertTrue(any(re.search(r" 127\.0\.0\.1 POST /v1/detect 200 [\d.]+ ms", line) for line in self.server.lines), self.server.lines[-3:])
        self.assertFalse(any("anna" in line for line in self.server.lines))


class OwnServers(unittest.TestCase):
    def test_limits_bytes(self):
        with Server("--max-bytes", "50000") as server:
            self.assertEqual(server.detect(b"x" * 50001)[0], 413)
            body, headers = multipart([("a", b"x" * 30000), ("b", b"y" * 30000)])
            self.assertEqual(server.detect(body, "", headers)[0], 413)
            self.assertEqual(server.detect(b"x" * 49000)[0], 422)

    def test_limits_pixels(self):
        with Server("--max-pixels", "100") as server:
            status, records = server.detect(PICTURES[0].read_bytes())
            self.assertEqual(status, 422)
            self.assertIn("--max-pixels", records[0]["error"])

    def test_tells_clients_to_come_again_when_it_is_busy(self):
        with Server("--queue", "1") as server:
            with concurrent.futures.ThreadPoolExecutor(8) as clients:
                answers = list(clients.map(lambda _: server.ask("POST", "/v1/detect", PICTURES[0].read_bytes()), range(24)))
            self.assertEqual({status for status, _, _ in answers}, {200, 503})
            for status, headers, _ in answers:
                self.assertEqual("Retry-After" in headers, status == 503)

    def test_tells_clients_to_come_again_when_too_many_are_connected(self):
        with Server("--connections", "2") as server, contextlib.ExitStack() as connected:
            for _ in range(2 + 2):  # served, and waiting to be; they ask for nothing yet
                connected.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            time.sleep(0.2)
            picture = PICTURES[0].read_bytes()
            for method, path, body, kind in (("GET", "/healthz", None, {}), ("POST", "/v1/detect", picture, {}),
                                             ("POST", "/v1/detect", *multipart([("a.png", picture)]))):
                began = time.monotonic()
                status, headers, answer = server.ask(method, path, body, kind)
                self.assertEqual(status, 503)
                self.assertEqual(headers["Retry-After"], "1")
                self.assertIn("busy", json.loads(answer)["error"])
                self.assertLess(time.monotonic() - began, 4)  # not the idle ones' five seconds
            connected.close()
            deadline = time.monotonic() + 30
            while server.ask("GET", "/healthz")[0] == 503 and time.monotonic() < deadline:
                time.sleep(0.1)
            self.assertEqual(server.detect(picture)[0], 200)

    def test_asks_for_a_token(self):
        with tempfile.NamedTemporaryFile("w") as tokens:
            tokens.write(f"# the laboratory\n{TOKEN}\n")
            tokens.flush()
            with Server("--host", "0.0.0.0", "--token-file", tokens.name) as server:
                picture = PICTURES[0].read_bytes()
                for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"}):
                    self.assertEqual(server.detect(picture, "", wrong)[0], 401)
                self.assertEqual(server.detect(picture, "", {"Authorization": f"Bearer {TOKEN}"})[0], 200)
                self.assertEqual(server.ask("GET", "/healthz")[0], 200)
                self.assertEqual(server.ask("GET", "/metrics")[0], 401)

    def test_refuses_to_listen_unsafely_or_in_vain(self):
        def refused(*options):
            run = subprocess.run([PROGRAM, "serve", "--device", "cpu", *options], capture_output=True, text=True, timeout=120)
            return run.returncode, run.stderr

        code, error = refused("--host", "0.0.0.0")
        self.assertEqual(code, 2)
        self.assertIn("--token-file", error)
        self.assertEqual(refused("--token-file", "/nowhere")[0], 1)
        with Server() as server:
            code, error = refused("--port", str(server.port))
            self.assertEqual(code, 1)
            self.assertIn(str(server.port), error)

    def test_answers_what_is_under_way_before_it_stops(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            with Server("--max-wait", "1000") as server:
                connection = server.connect()
                connection.request("POST", "/v1/detect", PICTURES[0].read_bytes())
                deadline = time.monotonic() + 60
                while b"lfm_waiting_pictures 1" not in server.ask("GET", "/metrics")[2] and time.monotonic() < deadline:
                    time.sleep(0.01)
                server.process.send_signal(how)
                self.assertEqual(connection.getresponse().status, 200)
                connection.close()
                self.assertEqual(server.process.wait(timeout=60), 0)

    def test_tells_each_member_of_a_model(self):
        names = ("--model", "default,default", "--combine", "mean")
        with Server(*names) as server:
            document = json.loads(server.ask("GET", "/openapi.json")[2])
            schemas = document["components"]["schemas"]
            models = json.loads(server.ask("GET", "/v1/models")[2])
            check_schema(document, schemas["Models"], models)
            for query in ("", "?explain=1", "?explain=1&stable=1"):
                status, records = server.detect(PICTURES[0].read_bytes(), query)
                self.assertEqual(status, 200)
                check_schema(document, schemas["Records"], records)
                record = without_path(records[0])
                windows = record.pop("explanation", [])
                self.assertEqual(record, without_path(detected(PICTURES[0], *names, *(["--stable"] if "stable" in query else []))))
                self.assertEqual([m["name"] for m in record["members"]], [m["name"] for m in models["models"][0]["members"]])
                for number in (1, 2):
                    own = [w["contributions"] for w in windows if w["member"] == number]
                    self.assertEqual(len(own), record["windows"] - record["empty_windows"] if "explain" in query else 0)
                    self.assertTrue(all(any(c != 0 for c in contributions) for contributions in own))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
