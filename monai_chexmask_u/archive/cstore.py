"""Sending objects by C-STORE (PS3.4, annex B; PS3.7, 9.1.1; PS3.8)."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import _config
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from monai_chexmask_u.archive.bounded_association import BoundedEntity, TooMuch
from monai_chexmask_u.archive.dialing import NoHandshake
from monai_chexmask_u.archive.failures import (
    ArchiveError,
    ArchiveUnusable,
    ObjectRefused,
    OutOfTime,
    TryLater,
    why_not_trusted,
)
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.settings import DimseNode
from monai_chexmask_u.archive.statuses import check_status
from monai_chexmask_u.archive.waiting import Deadline
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.files.regular_file import NoRegularFile, open_regular

__all__ = ["StoreSender"]

_REJECTED_TRANSIENT: Final = 0x02
_C_STORE_RSP: Final = 0x8001
_MESSAGE_ID: Final = 1


class StoreSender:
    """Sends objects to a DIMSE node, one association for each: each proposes its own class and transfer syntax."""

    def __init__(self, node: DimseNode) -> None:
        """Keep where to send to."""
        self._node = node

    def send(self, file: DicomFile, deadline: Deadline | None = None) -> None:
        """Send an object in the transfer syntax of its file; return once the node has confirmed it.

        Args:
            file: what to send.
            deadline: for all of it; by default the node's time for an answer.

        Raises:
            ObjectRefused: if the node will never take it.
            ArchiveUnusable: if the node takes nothing.
            TryLater: if it may take it later, or has not confirmed it.
            OSError: if the file cannot be read.
        """
        entity = BoundedEntity(self._node, deadline or Deadline(self._node.timeouts.answer_s))
        try:
            status = self._status(file, entity)
        except (ArchiveError, NoRegularFile, OSError):
            raise
        except Exception:  # of many kinds, where a node answers with something else than DICOM says
            raise self._not_confirmed(entity) from None
        if not isinstance(status, int):
            raise self._not_confirmed(entity)
        warning = check_status(status, self._node.name)
        if warning:
            logging.getLogger(__name__).warning("%s: stored, with a warning: %s", file.sop_instance_uid, warning)

    def _status(self, file: DicomFile, entity: BoundedEntity) -> Any:
        """Return what the node says of an object; None if it says nothing."""
        context = build_context(file.sop_class_uid, file.transfer_syntax_uid)
        with no_warnings("pydicom", "pynetdicom"), entity.associated(context) as association:
            if not association.is_established:
                raise self._why_not(association, entity, file)
            open_regular(file.path, follow_links=False).close()  # opening a FIFO would never end
            with _data_set_unchanged():
                status = association.send_c_store(file.path, msg_id=_MESSAGE_ID).get("Status")
            return status if _is_of(file, entity.answer) else None

    def _why_not(self, association: Association, entity: BoundedEntity, file: DicomFile) -> ArchiveError:
        """Return the error for an association that did not come about."""
        node = self._node
        if association.rejected_contexts:
            message = "SOP class or transfer syntax not supported"
            return ObjectRefused(f"{node.name} refuses this object: {message} ({file.transfer_syntax_uid})")
        if association.is_rejected:
            return _rejection(association, node)
        if entity.deadline.is_over:
            return _out_of_time(node)
        return _no_connection(entity.failure, node)

    def _not_confirmed(self, entity: BoundedEntity) -> TryLater:
        if entity.deadline.is_over:
            return _out_of_time(self._node)
        known = f"check its log, and that it knows this program (AE title {self._node.own_ae_title})"
        return TryLater(f"{self._node.name}: the node did not confirm an object; {known}")


def _is_of(file: DicomFile, answer: Dataset | None) -> bool:
    """Tell whether a command set is the answer for an object, whose naming is optional (PS3.7, 9.3.1.2)."""
    if answer is None or answer.get("CommandField") != _C_STORE_RSP:
        return False
    if answer.get("MessageIDBeingRespondedTo") != _MESSAGE_ID:
        return False
    return str(answer.get("AffectedSOPInstanceUID") or file.sop_instance_uid) == file.sop_instance_uid


@contextmanager
def _data_set_unchanged() -> Iterator[None]:
    """Have pynetdicom send the bytes of a file; else it reads the data set and writes it anew."""
    before = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        yield
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = before


def _rejection(association: Association, node: DimseNode) -> ArchiveError:
    answer = association.acceptor.primitive
    reason = str(getattr(answer, "reason_str", "no reason given")).lower()
    if getattr(answer, "result", None) == _REJECTED_TRANSIENT:
        return TryLater(f"{node.name}: the node rejects associations for now ({reason})", unreachable=True)
    message = f"the node rejects this program ({reason}); check both AE titles (this one is {node.own_ae_title})"
    return ArchiveUnusable(f"{node.name}: {message}")


def _out_of_time(node: DimseNode) -> OutOfTime:
    message = "the node did not confirm an object in time; see its log, or wait longer with --answer-timeout"
    return OutOfTime(f"{node.name}: {message}")


def _no_connection(failure: Exception | None, node: DimseNode) -> ArchiveError:
    if isinstance(failure, ssl.SSLCertVerificationError):
        return ArchiveUnusable(f"{node.name}: the node's certificate {why_not_trusted(failure)}")
    if isinstance(failure, ssl.SSLError):
        return ArchiveUnusable(f"{node.name}: no TLS connection; check that the node speaks TLS here")
    if isinstance(failure, NoHandshake):
        message = "no TLS connection; check that the node speaks TLS here, and that it runs"
    elif isinstance(failure, OSError) and not isinstance(failure, TooMuch):
        message = "the node cannot be reached; check the address, the network and that it runs"
    else:
        message = "the node broke off the connection; check whether it wants TLS or a certificate, and its log"
    return TryLater(f"{node.name}: {message}", unreachable=True)
