#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`upres models fetch` against a server that cuts, stalls, lies and changes its mind: a model is
there whole and right or not at all, an older file keeps its place until then, and what came is kept
for the next run. The server is on the loopback, with a certificate made for the run."""
import concurrent.futures
import hashlib
import http.server
import os
import pathlib
import re
import resource
import shutil
import signal
import socketserver
import ssl
import subprocess
import sys
import threading
import time

from common import ROOT, UPRES, Checks, workspace

MODEL = ROOT / "models/upres-general-x4.fp16.safetensors"
NAME = "model.safetensors"
GOOD = MODEL.read_bytes()
OTHER = GOOD[:-2] + bytes([GOOD[-2] ^ 1]) + GOOD[-1:]  # as good a model, with one other weight
SHA256 = hashlib.sha256(GOOD).hexdigest()
PART, SOURCE = NAME + ".part", NAME + ".part.json"
SIZE = len(GOOD)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves /CASE/model.safetensors as the case says; remembers who asked for what."""
    daemon_threads = True

    def __init__(self, certificate):
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True,
                                          do_handshake_on_connect=False)
        self.ranges = {}  # a case's requests: what they said in Range

    def url(self, case, name=NAME):
        return f"https://127.0.0.1:{self.server_address[1]}/{case}/{name}"

    def handle_error(self, request, client_address):
        pass  # clients leave in the middle: that is what is tested


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, *_):
        pass

    def do_GET(self):
        case = self.path.split("/")[1]
        asked = self.server.ranges.setdefault(case, [])
        asked.append(self.headers.get("Range"))
        self.close_connection = True
        getattr(self, "case_" + case.split("-")[0])(len(asked), case)

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()

    def send(self, content, until=None, etag='"1"', ranges=True, drip=0, length=None):
        """A whole file, or the rest of it that is asked for; no more than up to byte `until` of the
        file; with `drip`, so many bytes each 10 ms."""
        first = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and ranges and self.headers.get("If-Range") == etag:
            first = int(wanted[1])
        validator = {"ETag": etag} if etag else {}
        if first >= len(content):
            return self.head(416, Content_Length=0)
        if first:
            self.head(206, Content_Length=len(content) - first, **validator,
                      Content_Range=f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.head(200, Content_Length=length or len(content), **validator)
        rest = content[first:until]
        step = drip or SIZE
        for at in range(0, len(rest), step):
            self.wfile.write(rest[at:at + step])
            time.sleep(0.01 if drip else 0)

    def case_plain(self, *_):
        self.send(GOOD)

    def case_cut(self, count, _):
        self.send(GOOD, until={1: 1, 2: 70_000, 3: SIZE - 1}.get(count))

    def case_broken(self, count, _):
        self.send(GOOD, until=100_000 * count)

    def case_stall(self, *_):
        self.send(GOOD, until=50_000)
        time.sleep(8)

    def case_silent(self, *_):
        time.sleep(8)

    def case_long(self, *_):
        self.send(GOOD, length=SIZE + 1000)

    def case_short(self, *_):
        self.send(GOOD, length=SIZE - 1000)

    def case_redirect(self, *_):
        self.head(302, Location=self.server.url("redirected"), Content_Length=0)

    def case_redirected(self, count, _):
        self.send(GOOD, until=300_000 if count == 1 else None)

    def case_loop(self, *_):
        self.head(302, Location=self.path, Content_Length=0)

    def case_downgrade(self, *_):
        self.head(302, Location=f"http://127.0.0.1:9/{NAME}", Content_Length=0)

    def case_local(self, *_):
        self.head(302, Location=f"file://{MODEL}", Content_Length=0)

    def case_wrong(self, *_):
        self.send(OTHER)

    def case_status(self, _, case):
        self.head(int(case.split("-")[1]), Content_Length=0)

    def case_passing(self, count, _):
        if count < 3:
            self.head(503, Content_Length=0)
        else:
            self.send(GOOD)

    def case_changed(self, count, _):
        if count == 1:
            self.send(GOOD, until=300_000)
        else:
            self.send(OTHER, etag='"2"')

    def case_norange(self, count, _):
        self.send(GOOD, until=300_000 if count == 1 else None, ranges=False)

    def case_notag(self, count, _):
        self.send(GOOD, until=300_000 if count == 1 else None, etag="")

    def case_badrange(self, count, _):
        if count == 1:
            self.send(GOOD, until=300_000)
        else:
            self.head(206, Content_Length=1000, ETag='"1"',
                      Content_Range=f"bytes 0-999/{SIZE}")
            self.wfile.write(GOOD[:1000])

    def case_slow(self, *_):
        self.send(GOOD, drip=20_000)

    def case_slower(self, *_):
        self.send(GOOD, drip=5_000)

    def case_page(self, *_):
        page = b"<!DOCTYPE html><title>Sign in</title>" * 100
        self.head(200, Content_Length=len(page), Content_Type="text/html",
                  Content_Disposition='attachment; filename="../../model.safetensors"')
        self.wfile.write(page)

    def case_empty(self, *_):
        self.head(200, Content_Length=0)

    def case_huge(self, *_):
        self.head(200, Content_Length=5 << 30)
        self.wfile.write(GOOD)

    def case_chunked(self, *_):
        self.head(200, Transfer_Encoding="chunked")
        for at in range(0, SIZE, 100_000):
            piece = GOOD[at:at + 100_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def names(folder):
    return sorted(p.name for p in folder.iterdir())


class Cases:
    """Each case is a method; it has a folder of its own and yields what it found: whether a claim
    holds, the claim, and a detail."""

    def __init__(self, server, certificate):
        self.server = server
        self.env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.env["SSL_CERT_FILE"] = str(certificate)

    def arguments(self, folder, case, *more):
        return [UPRES, "models", "fetch", self.server.url(case), "-m", str(folder),
                *map(str, more)]

    def start(self, folder, case, *more):
        return subprocess.Popen(self.arguments(folder, case, *more), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.env)

    def fetch(self, folder, case, *more, **options):
        return subprocess.run(self.arguments(folder, case, *more), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True,
                              **{"env": self.env, **options})

    def asked(self, case):
        return self.server.ranges.get(case, [])

    @staticmethod
    def wait_for(happened):
        deadline = time.monotonic() + 10
        while not happened() and time.monotonic() < deadline:
            time.sleep(0.02)

    def ends(self, claim, done, code, folder, left, content=None):
        """With this exit code; the folder holds what is said, the model what is said."""
        model = folder / NAME
        holds = (done.returncode == code and names(folder) == sorted(left) and
                 (content is None or model.read_bytes() == content))
        last = (done.stderr or done.stdout or "").strip().splitlines()[-1:]
        return holds, f"{claim}: {code}", (last[0] if holds and last else
                                           f"exit code {done.returncode}, {names(folder)}\n"
                                           f"{done.stdout}{done.stderr}")

    def downloads(self, folder):
        yield self.ends("a model", self.fetch(folder, "plain", "--sha256", SHA256.upper()), 0,
                        folder, [NAME], GOOD)
        before = len(self.asked("plain"))
        yield self.ends("there already", self.fetch(folder, "plain", "--sha256", SHA256), 0, folder,
                        [NAME], GOOD)
        (folder / NAME).write_bytes(b"mine")
        yield self.ends("another file of its name", self.fetch(folder, "plain", "--sha256", SHA256),
                        5, folder, [NAME], b"mine")
        yield len(self.asked("plain")) == before, "none of them asks the server", ""
        yield self.ends("... and --overwrite", self.fetch(folder, "plain", "--overwrite"), 0,
                        folder, [NAME], GOOD)

    def own_folder(self, folder):
        env = {**self.env, "XDG_DATA_HOME": str(folder)}
        done = subprocess.run([UPRES, "models", "fetch", self.server.url("plain-own"), "--quiet"],
                              env=env, capture_output=True, text=True)
        found = subprocess.run([UPRES, "info", NAME.split(".")[0]], env=env, capture_output=True,
                               text=True)
        listed = subprocess.run([UPRES, "models"], env=env, capture_output=True, text=True)
        yield (done.returncode == 0 and not done.stdout + done.stderr and
               str(folder / "upres/models" / NAME) in found.stdout and
               re.search(r"^model +- +- +1.2  yes$", listed.stdout, re.M),
               "goes into the user's folder, is found and listed there",
               f"{done.stderr}{found.stderr}")

    def chunked(self, folder):
        yield self.ends("no length stated", self.fetch(folder, "chunked"), 0, folder, [NAME], GOOD)

    def cut(self, folder):
        done = self.fetch(folder, "cut")
        yield self.ends("cut after 1, 70,000 and all but one byte", done, 0, folder, [NAME], GOOD)
        yield (self.asked("cut") == [None, "bytes=1-", "bytes=70000-", f"bytes={SIZE - 1}-"],
               "each request asks for the rest", self.asked("cut"))

    def broken(self, folder):
        yield self.ends("cut each time", self.fetch(folder, "broken"), 8, folder, [PART, SOURCE])
        yield ((folder / PART).read_bytes() == GOOD[:400_000], "what came is kept", "")
        yield self.ends("... and the next run", self.fetch(folder, "broken"), 8, folder,
                        [PART, SOURCE])
        yield (self.asked("broken")[4] == "bytes=400000-", "goes on from there",
               self.asked("broken")[4])
        yield self.ends("another URL does not", self.fetch(folder, "plain-other"), 0, folder,
                        [NAME], GOOD)
        yield self.asked("plain-other") == [None], "... take it for its own", ""

    def stall(self, folder):
        began = time.monotonic()
        done = self.fetch(folder, "stall", "--timeout", "1")
        took = time.monotonic() - began
        yield self.ends("stalls each time", done, 8, folder, [PART, SOURCE])
        yield took < 20, "with --timeout 1 that takes no long time", f"{took:.1f} s"

    def silent(self, folder):
        process = self.start(folder, "silent")
        self.wait_for(lambda: self.asked("silent"))
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate()
        took = time.monotonic() - began
        yield (process.returncode == 130 and took < 2 and not names(folder),
               "Ctrl-C while the server is silent: 130", f"{took:.1f} s, {names(folder)}")

    def lengths(self, folder):
        yield self.ends("states a larger length", self.fetch(folder, "long"), 8, folder, [])
        yield self.ends("states a smaller length", self.fetch(folder, "short"), 4, folder, [])
        yield self.ends("... and the hash is known",
                        self.fetch(folder, "short", "--sha256", SHA256), 4, folder, [])
        yield self.ends("an empty file", self.fetch(folder, "empty"), 4, folder, [])
        yield self.ends("5 GiB", self.fetch(folder, "huge"), 4, folder, [])

    def redirects(self, folder):
        yield self.ends("redirected, and cut there", self.fetch(folder, "redirect"), 0, folder,
                        [NAME], GOOD)
        yield (self.asked("redirected") == [None, "bytes=300000-"], "... goes on after it",
               self.asked("redirected"))
        (folder / NAME).unlink()
        for case, claim in (("loop", "redirected in a circle"), ("downgrade", "redirected to http"),
                            ("local", "redirected to file")):
            yield self.ends(claim, self.fetch(folder, case), 8, folder, [])

    def wrong(self, folder):
        (folder / NAME).write_bytes(GOOD)
        yield self.ends("wrong bytes do not replace a good file",
                        self.fetch(folder, "wrong", "--overwrite", "--sha256", "0" * 64), 4, folder,
                        [NAME], GOOD)
        yield self.ends("nor does a web page", self.fetch(folder, "page", "--overwrite"), 4, folder,
                        [NAME], GOOD)
        yield self.ends("nor what is cut", self.fetch(folder, "broken-2", "--overwrite"), 8, folder,
                        [NAME, PART, SOURCE], GOOD)

    def statuses(self, folder):
        for status in (404, 403, 204):
            case = f"status-{status}"
            yield self.ends(f"status {status}", self.fetch(folder, case), 8, folder, [])
            yield len(self.asked(case)) == 1, "... is final", ""

    def passing(self, folder):
        yield self.ends("status 503 twice, then the file", self.fetch(folder, "passing"), 0, folder,
                        [NAME], GOOD)

    def failing(self, folder):
        yield self.ends("status 500 each time", self.fetch(folder, "status-500"), 8, folder, [])
        yield len(self.asked("status-500")) == 4, "... is tried four times", ""

    def changed(self, folder):
        yield self.ends("another file after the cut", self.fetch(folder, "changed"), 0, folder,
                        [NAME], OTHER)
        (folder / NAME).unlink()
        yield self.ends("no ranges after the cut", self.fetch(folder, "norange"), 0, folder, [NAME],
                        GOOD)
        (folder / NAME).unlink()
        yield self.ends("no ETag after the cut", self.fetch(folder, "notag"), 0, folder, [NAME],
                        GOOD)
        yield self.asked("notag") == [None, None], "... starts over", ""
        (folder / NAME).unlink()
        yield self.ends("another range than asked for", self.fetch(folder, "badrange"), 8, folder,
                        [PART, SOURCE])

    def killed(self, folder):
        part = folder / PART
        kept = 0
        for _ in range(3):
            process = self.start(folder, "slow", "--sha256", SHA256)
            self.wait_for(lambda: part.exists() and part.stat().st_size > kept + 100_000)
            process.kill()
            process.communicate()
            kept = part.stat().st_size
        yield self.ends("kill -9, three times, and once more", self.fetch(folder, "slow"), 0,
                        folder, [NAME], GOOD)
        yield (self.asked("slow")[-1] == f"bytes={kept}-", "goes on from there",
               self.asked("slow")[-1])

    def interrupted(self, folder):
        process = self.start(folder, "slower")
        self.wait_for(lambda: (folder / PART).exists() and (folder / PART).stat().st_size)
        second = self.fetch(folder, "slower")
        yield second.returncode == 5, "two at once: 5", second.stderr.strip()
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate()
        took = time.monotonic() - began
        yield (process.returncode == 130 and names(folder) == [PART, SOURCE] and
               "are kept" in errors, "Ctrl-C: 130", f"{errors.strip()} ({took:.1f} s)")
        yield self.ends("... and once more", self.fetch(folder, "slower"), 0, folder, [NAME], GOOD)

    def unwritable(self, folder):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        done = self.fetch(folder, "plain-limit", preexec_fn=limit)
        yield self.ends("no file may be larger than 200 kB", done, 5, folder, [PART, SOURCE])
        for name in (PART, SOURCE):
            (folder / name).unlink()
        yield self.ends("no such folder", self.fetch(folder / "nowhere", "plain-limit"), 5, folder,
                        [])
        locked = folder / "locked"
        locked.mkdir()
        locked.chmod(0o555)
        program, ca = folder / "upres", folder / "ca.pem"  # where nobody may read them
        shutil.copy(UPRES, program)
        shutil.copy(self.env["SSL_CERT_FILE"], ca)
        command = [program, *self.arguments(locked, "plain-locked")[1:]]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        done = subprocess.run(command, capture_output=True, text=True,
                              env={**self.env, "SSL_CERT_FILE": str(ca)})
        yield self.ends("read-only folder", done, 5, locked, [])

    def full(self, folder):
        script = 'mount -t tmpfs -o size=512k tmpfs "$1" 2>/dev/null || exit 99; ' \
                 'shift; "$@"; code=$?; rm -f "$0"/*; exit $code'
        for case, claim in (("plain-full", "full disk"), ("chunked-full", "... no length stated")):
            done = subprocess.run(["unshare", "-m", "sh", "-c", script, folder, folder,
                                   *self.arguments(folder, case)], capture_output=True, text=True,
                                  env=self.env)
            if done.returncode == 99 or "unshare" in done.stderr:
                yield None, 1, "a full disk: may not mount one"
            else:
                yield self.ends(claim, done, 5, folder, [])

    def certificates(self, folder):
        env = {k: v for k, v in self.env.items() if k != "SSL_CERT_FILE"}
        yield self.ends("certificate of nobody known", self.fetch(folder, "plain-ca", env=env), 8,
                        folder, [])
        url = self.server.url("plain-ca")
        for address, claim, code in (
                (url.replace("127.0.0.1", "localhost"), "certificate of another host", 8),
                (url.replace("https:", "http:"), "http", 2),
                ("https://127.0.0.1:9/model.pth", "nobody listens", 8),
                (url + "/..%2f..%2fmodel.pth", "a name that leads out of the folder", 2),
                ("RealESRGAN_x4pluz", "a name that is nearly right", 4)):
            done = subprocess.run([UPRES, "models", "fetch", address, "-m", folder], env=self.env,
                                  capture_output=True, text=True)
            yield self.ends(claim, done, code, folder, [])
        yield not self.asked("plain-ca"), "... are never asked for the file", ""


def make_certificate(folder):
    path = folder / "server.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=upres",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out",
                    folder / "certificate.pem"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (folder / "certificate.pem").read_bytes())
    return path


def main():
    checks = Checks()
    with workspace() as work:
        certificate = make_certificate(work)
        server = Server(certificate)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cases = Cases(server, work / "certificate.pem")

        def run(case):
            folder = work / case.__name__
            folder.mkdir()
            return list(case(folder))

        todo = [cases.stall, cases.lengths, cases.broken, cases.killed, cases.cut, cases.failing,
                cases.interrupted, cases.silent, cases.changed, cases.wrong, cases.passing,
                cases.downloads, cases.own_folder, cases.chunked, cases.redirects, cases.statuses,
                cases.unwritable, cases.full, cases.certificates]
        with concurrent.futures.ThreadPoolExecutor(len(todo)) as pool:
            for results in pool.map(run, todo):
                for holds, *rest in results:
                    if holds is None:
                        checks.skip(*rest)
                    else:
                        checks.check(holds, *rest)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
