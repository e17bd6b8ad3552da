"""A producer that publishes numbers at a rate, and a consumer that counts them, without a line of the protocol for each."""
import threading
import time

BURST_SECONDS = 0.01
RECEIVE_MS = 500
ERRORS_MAX = 10


class Pouring:
    """Publishes 0, 1, 2, …; number n has the key n % keys."""

    def __init__(self, producer, ok, rate, size, keys):
        self.producer, self.ok, self.rate, self.size, self.keys = producer, ok, rate, size, keys
        self.lock = threading.Lock()
        self.sent = self.acknowledged = self.failed = 0
        self.errors = []
        self.longest = 0.0
        self.stopped = threading.Event()
        self.last = time.monotonic()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def on_receipt(self, result, _message_id):
        with self.lock:
            now = time.monotonic()
            if result == self.ok:
                self.acknowledged += 1
                self.longest = max(self.longest, now - self.last)
                self.last = now
            else:
                self.fail(str(result))

    def fail(self, text):
        self.failed += 1
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(text)

    def run(self):
        started = time.monotonic()
        while not self.stopped.is_set():
            due = int((time.monotonic() - started) * self.rate)
            while self.sent < due and not self.stopped.is_set():
                number = self.sent
                self.sent += 1
                try:
                    self.producer.send_async(str(number).zfill(self.size).encode(), self.on_receipt, partition_key=str(number % self.keys))
                except BaseException as error:
                    with self.lock:
                        self.fail(str(error))
            time.sleep(BURST_SECONDS)

    def end(self, seconds):
        self.stopped.set()
        self.thread.join()
        self.producer.flush()
        until = time.monotonic() + seconds
        while self.acknowledged + self.failed < self.sent and time.monotonic() < until:
            time.sleep(BURST_SECONDS)
        with self.lock:
            return {'sent': self.sent, 'acknowledged': self.acknowledged, 'failed': self.failed, 'errors': self.errors,
                    'longestPauseMs': self.longest * 1000}


class Draining:
    """Receives and acknowledges until it is ended; of each number the first delivery counts."""

    def __init__(self, consumer, timeout, keys):
        self.consumer, self.timeout, self.keys = consumer, timeout, keys
        self.seen = bytearray()
        self.latest = [-1] * keys
        self.received = self.again = self.disordered = 0
        self.errors = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped.is_set():
            try:
                message = self.consumer.receive(timeout_millis=RECEIVE_MS)
                self.take(int(message.data()))
                self.consumer.acknowledge(message)
            except self.timeout:
                continue
            except BaseException as error:
                if len(self.errors) < ERRORS_MAX:
                    self.errors.append(str(error))
                time.sleep(BURST_SECONDS)

    def take(self, number):
        if number >= len(self.seen):
            self.seen.extend(bytes(number + 1024 - len(self.seen)))
        if self.seen[number]:
            self.again += 1
            return
        self.seen[number] = 1
        self.received += 1
        key = number % self.keys
        if number < self.latest[key]:
            self.disordered += 1
        self.latest[key] = max(self.latest[key], number)

    def counts(self):
        return {'received': self.received, 'again': self.again, 'disordered': self.disordered, 'errors': self.errors}

    def end(self):
        self.stopped.set()
        self.thread.join()
        return self.counts()
