"""A server is tried while its user looks on: each step as it is done, then what was wanted is saved.

The answer to the form is a stream of the steps (server-sent events) where the page's script asks for one, else the
whole page at the end. Nothing is kept between two requests: the password lives as long as this one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import field, replace
from typing import Final

from starlette.responses import Response, StreamingResponse

from outgate.deliver.probe import TOO_OFTEN, Probed, ProbeStep
from outgate.directory.gateway_settings import GatewaySettings
from outgate.frozen import frozen
from outgate.operations.context import Change, rehearse
from outgate.operations.gateway_trial import tentative
from outgate.store.rates import Rates
from outgate.web.page import is_live
from outgate.web.visit import Visit
from outgate.web.visits import status_of
from outgate.web.words import N_

Page = Callable[[int, "TrialState"], Response]  # the whole page, with a status


@frozen
class StepDone:
    """A step, what belongs to it, and how many seconds after the begin it was done."""

    step: ProbeStep
    detail: str
    after: float


@frozen
class TrialState:
    """What is known now. `failed` is the step that was not done and `reply` what the server said; `why` speaks against
    it before anything was connected to; `go_on` is where to go when all is saved.
    """

    host: str
    port: int
    done: tuple[StepDone, ...] = ()
    failed: ProbeStep | None = None
    reply: str = ""
    after: float = 0.0
    why: str = ""
    status: int = 200
    go_on: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return bool(self.failed or self.why or self.go_on)


@frozen
class ServerTrial:
    """What is to be tried, and the change that saves it; `go_on` is where to go then; `sender` the address that it is
    for. The organisation's own gateway is for none, may be anywhere, and whoever sets it is told all that was found.
    """

    visit: Visit
    settings: GatewaySettings
    change: Change[object]
    go_on: str
    sender: str = ""
    is_organisations: bool = False
    _began: float = field(default_factory=time.monotonic)

    async def answer(self, whole_page: Page) -> Response:
        """To the form. Raises ProofNeeded, before anything is connected to."""
        refusal = await self._spoken_against()
        if is_live(self.visit.request):
            headers = {"X-Accel-Buffering": "no"}
            return StreamingResponse(self._events(refusal), media_type="text/event-stream", headers=headers)
        last = TrialState(self.settings.host, self.settings.port)
        async for state in self._states(refusal):
            last = state
        if last.go_on:
            return self.visit.go_to(last.go_on)
        return whole_page(last.status, last)

    async def _events(self, refusal: TrialState | None) -> AsyncIterator[str]:
        async for state in self._states(refusal):
            html = self.visit.fragment("server_trial.html", trial=state)
            yield "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"

    async def _spoken_against(self) -> TrialState | None:
        """What speaks against the change, found before the server is tried; None if nothing does."""
        try:
            await self.visit.in_thread(rehearse, self.visit, self.change)
        except Exception as error:
            state = TrialState(self.settings.host, self.settings.port)
            return replace(state, why=self.visit.said.error(error), status=status_of(error))
        return None

    async def _states(self, refusal: TrialState | None) -> AsyncIterator[TrialState]:
        if refusal:
            yield refusal
            return
        state = last = TrialState(self.settings.host, self.settings.port)
        yield state
        async for last in self._tried(state):
            yield last
        if not last.is_over:
            yield await self._saved(last)

    async def _tried(self, state: TrialState) -> AsyncIterator[TrialState]:
        """Each step as it is done; a failure last."""
        steps: asyncio.Queue[StepDone | None] = asyncio.Queue()
        trying = asyncio.create_task(self._probe(steps))
        try:
            while (step := await steps.get()) is not None:
                state = replace(state, done=(*state.done, step))
                yield state
            probed = await trying
        finally:
            trying.cancel()  # whoever went away is not tried for any longer
        if not probed.works:
            yield self._failed(state, probed)

    async def _probe(self, steps: "asyncio.Queue[StepDone | None]") -> Probed:
        services, settings = self.visit.services, self.settings

        def told(step: ProbeStep, detail: str) -> None:
            steps.put_nowait(StepDone(step, detail, self._after()))

        try:
            if self.is_organisations:
                return await services.prober.domain_gateway(tentative(settings), settings.secret, told)
            rates = Rates(services.engine, services.now)
            return await services.prober.gateway_for(
                self.visit.address, tentative(settings), settings.secret, rates, told=told, sender=self.sender
            )
        finally:
            steps.put_nowait(None)

    def _failed(self, state: TrialState, probed: Probed) -> TrialState:
        if probed.public == TOO_OFTEN:
            return replace(state, why=self.visit.said(_TOO_OFTEN), status=429)
        done = {one.step for one in state.done}
        missed = next((step for step in ProbeStep if step not in done), ProbeStep.SENDER_ACCEPTED)
        reply = probed.detail if self.is_organisations else probed.public
        return replace(state, failed=missed, reply=reply, after=self._after(), status=422)

    async def _saved(self, state: TrialState) -> TrialState:
        def save() -> None:
            with self.visit.writing() as op:
                self.change(op)

        try:
            await self.visit.in_thread(save)
        except Exception as error:
            return replace(state, why=self.visit.said.error(error), status=status_of(error))
        return replace(state, go_on=self.go_on)

    def _after(self) -> float:
        return time.monotonic() - self._began


_TOO_OFTEN: Final = N_("Servers were tried too often from here. Try again later.")
