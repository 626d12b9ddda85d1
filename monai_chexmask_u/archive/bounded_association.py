"""An association of pynetdicom that ends: by a deadline for the whole of it, or at a number of bytes.

The time-outs of pynetdicom are for each piece of a PDU; it believes the length that a PDU claims, puts all pieces of an
object into a queue at once, however small the peer wants them, and a PDU that it cannot parse ends its thread only.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import MaximumLengthNotification
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from monai_chexmask_u.archive.dialing import dial
from monai_chexmask_u.archive.failures import ArchiveUnusable
from monai_chexmask_u.archive.settings import DimseNode
from monai_chexmask_u.archive.waiting import Deadline

__all__ = ["BoundedEntity", "TooMuch"]

_MOST_BYTES: Final = 64 * 1024  # of all that a node has to say about one object
_LEAST_PDU: Final = 1024
_MOST_PDU: Final = 64 * 1024
_QUEUED: Final = 64  # pieces of an object
_RELEASE_S: Final = 5.0
_LOOK_S: Final = 0.1  # how often to look whether the other thread still lives


class TooMuch(OSError):
    """A node sent more than any node has to say."""


class BoundedEntity(AE):
    """An application entity for one association.

    Args:
        node: with whom.
        deadline: for all of it.

    Attributes:
        failure: why there is no connection, or no more, if that is known.
        answer: the command set that came last; None before.
    """

    def __init__(self, node: DimseNode, deadline: Deadline) -> None:
        """Set up the entity."""
        super().__init__(node.own_ae_title)
        self.node = node
        self.deadline = deadline
        self.failure: Exception | None = None
        self.answer: Dataset | None = None
        wait_s = max(_LOOK_S, min(deadline.remaining_s, node.timeouts.silence_s))
        self.acse_timeout = self.dimse_timeout = self.network_timeout = wait_s
        self.connection_timeout = node.timeouts.connect_s

    @contextmanager
    def associated(self, context: Any) -> Iterator[Association]:
        """Associate for one presentation context; hand out the association, whether it came about or not."""
        address = "127.0.0.1"  # whatever the host: the connection is made here
        handlers: list[Any] = [(evt.EVT_DIMSE_RECV, self._keep)]
        association = self.associate(
            address, self.node.port, contexts=[context], ae_title=self.node.ae_title, evt_handlers=handlers
        )
        connection: Any = association.dul.socket
        try:
            _limit_pieces(association, self.node.name)
            yield association
            connection.cut_in(min(_RELEASE_S, self.deadline.remaining_s))
            association.release()  # if it was established; else nothing is left to do
        finally:
            association._kill = True
            association.dul.kill_dul()
            connection.finish()

    def _keep(self, event: evt.Event) -> None:
        self.answer = event.message.command_set

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[ssl.SSLContext, str] | None
    ) -> AssociationSocket:
        return _BoundedSocket(assoc, self)


class _BoundedSocket(AssociationSocket):
    """The connection of an association."""

    def __init__(self, association: Association, entity: BoundedEntity) -> None:
        self._entity = entity
        self._received = 0
        self._timer = threading.Timer(0, self.cut)
        self._made: socket.socket | None = None
        super().__init__(association, address=AddressInformation("", 0))
        _end_with_its_threads(association, self)

    def _create_socket(self, address: AddressInformation) -> socket.socket:
        self._is_connected = False
        return socket.socket()  # stands in for the one that `connect` makes

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect to the node, whatever address the primitive has."""
        node, deadline = self._entity.node, self._entity.deadline
        try:
            if self.socket is not None:
                self.socket.close()
            tls = node.tls.context() if node.tls else None
            self.socket = self._made = dial(node.host, node.port, deadline.within(node.timeouts.connect_s), tls=tls)
            self.socket.settimeout(node.timeouts.silence_s)
            self._is_connected = True
            self.cut_in(deadline.remaining_s)
            primitive.result = "Evt2"
        except Exception as failure:
            self._entity.failure = failure
            self.socket = None
            primitive.result = "Evt17"
        self.provider_queue.put(primitive)
        self._ready.set()

    def recv(self, nr_bytes: int) -> bytearray:
        """Read what a PDU claims to be long, up to a limit.

        Raises:
            OSError: if that is too much, or does not come.
        """
        self._received += nr_bytes
        if self._received > _MOST_BYTES:
            failure = self._entity.failure = TooMuch("the node sends more than any node has to say")
            self.cut()
            raise failure
        return super().recv(nr_bytes)

    def cut_in(self, seconds: float) -> None:
        """Cut the connection after some time, instead of at another one."""
        self._timer.cancel()
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True
        self._timer.start()

    def cut(self) -> None:
        """Cut the connection: both threads learn of it, whatever they wait for."""
        if self._made is not None:
            with suppress(OSError):
                # Not as TLS does it, which would wait for the thread that reads.
                socket.socket.shutdown(self._made, socket.SHUT_RDWR)

    def finish(self) -> None:
        """Cut the connection and give it back."""
        self._timer.cancel()
        self.cut()
        self.assoc.dul.join(_RELEASE_S)
        if self._made is not None:
            self._made.close()


class _Pieces(queue.Queue[Any]):
    """What waits to be sent: so much, and not longer than somebody sends it."""

    def __init__(self, association: Association, connection: _BoundedSocket) -> None:
        super().__init__(_QUEUED)
        self._association = association
        self._connection = connection

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        while True:
            try:
                return super().put(item, timeout=_LOOK_S)
            except queue.Full:
                gone = self._association.is_aborted or not self._association.dul.is_alive()
                if gone or self._connection._entity.deadline.is_over or not self._connection._is_connected:
                    raise


def _end_with_its_threads(association: Association, connection: _BoundedSocket) -> None:
    """See that no thread of an association holds up the program, or ends with a traceback on the terminal."""
    dul: Any = association.dul
    dul.daemon = True
    dul.to_provider_queue = _Pieces(association, connection)
    threads: list[Any] = [association, dul]
    for thread in threads:
        thread.run = _watched(thread.run, association, connection)


def _watched(run: Callable[[], None], association: Association, connection: _BoundedSocket) -> Callable[[], None]:
    def watched() -> None:
        try:
            run()
        except Exception as failure:
            connection._entity.failure = failure
            connection.cut()
            association.is_aborted, association.is_established = True, False
            association.dul.to_user_queue.put(None)
            association.dimse.msg_queue.put((None, None))
        finally:
            association._is_paused = True  # which others wait for

    return watched


def _limit_pieces(association: Association, name: str) -> None:
    """Send pieces of a usual size, whatever size the node wants.

    Raises:
        ArchiveUnusable: if it wants them so small that an object would take far more memory than it has bytes.
    """
    if not association.is_established:
        return
    answer: Any = association.acceptor.primitive
    (item,) = (each for each in answer.user_information if isinstance(each, MaximumLengthNotification))
    wanted = item.maximum_length_received or _MOST_PDU  # 0 is for any size
    if wanted < _LEAST_PDU:
        message = f"the node takes objects in pieces of {wanted} bytes only"
        raise ArchiveUnusable(f"{name}: {message}; set its largest PDU to {_LEAST_PDU} bytes or more")
    item.maximum_length_received = min(wanted, _MOST_PDU)
