"""The bare user: a FastHttpUser that posts a fixed body of the average size of Hookproof's."""

from locust import FastHttpUser, task

from conformance.load.traffic import draw

SIZES = [len(template.body(2**62, 1_790_000_000)) for burst in draw(1) for template in burst]
BODY = b"x" * (sum(SIZES) // len(SIZES))


class Bare(FastHttpUser):
    @task
    def post(self) -> None:
        self.client.post("/webhook/receiver", data=BODY)
