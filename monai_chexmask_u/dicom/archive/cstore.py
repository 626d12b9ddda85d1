"""Sending objects by C-STORE (PS3.4, annex B; PS3.7, 9.1.1; PS3.8)."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from monai_chexmask_u.dicom.archive.failures import ArchiveError, ArchiveUnusable, ObjectRefused, TryLater
from monai_chexmask_u.dicom.archive.objects import DicomFile
from monai_chexmask_u.dicom.archive.settings import DimseNode
from monai_chexmask_u.dicom.archive.statuses import check_status

__all__ = ["StoreSender"]

_REJECTED_TRANSIENT = 0x02


class StoreSender:
    """Sends objects to a DIMSE node, one association for each: each proposes its own class and transfer syntax."""

    def __init__(self, node: DimseNode) -> None:
        """Set up the application entity."""
        self._node = node
        self._entity = AE(node.own_ae_title)
        self._entity.connection_timeout = node.timeouts.connect_s
        self._entity.acse_timeout = self._entity.dimse_timeout = self._entity.network_timeout = node.timeouts.answer_s

    def send(self, file: DicomFile) -> None:
        """Send an object in the transfer syntax of its file; return once the node has confirmed it.

        Raises:
            ObjectRefused: if the node will never take it.
            ArchiveUnusable: if the node takes nothing.
            TryLater: if it may take it later, or has not confirmed it.
            OSError: if the file cannot be read.
        """
        association = self._associate(file)
        try:
            with _data_set_unchanged():
                response = association.send_c_store(file.path)
        finally:
            if association.is_established:
                association.release()
        if "Status" not in response:
            known = f"check its log, and that it knows this program (AE title {self._node.own_ae_title})"
            raise TryLater(f"{self._node.name}: the node did not confirm an object; {known}")
        warning = check_status(response.Status, self._node.name)
        if warning:
            logging.getLogger(__name__).warning("%s: stored, with a warning: %s", file.sop_instance_uid, warning)

    def _associate(self, file: DicomFile) -> Association:
        node = self._node
        try:
            association = self._entity.associate(
                node.host,
                node.port,
                contexts=[build_context(file.sop_class_uid, file.transfer_syntax_uid)],
                ae_title=node.ae_title,
                tls_args=(node.tls.context(), node.host) if node.tls else None,
            )
        except socket.gaierror:
            raise _why_unreachable(node) from None
        if association.is_established:
            return association
        if association.rejected_contexts:
            message = "SOP class or transfer syntax not supported"
            raise ObjectRefused(f"{node.name} refuses this object: {message} ({file.transfer_syntax_uid})")
        if association.is_rejected:
            raise _rejection(association, node)
        raise _why_unreachable(node)


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


def _why_unreachable(node: DimseNode) -> ArchiveError:
    """Connect once more to learn what pynetdicom does not tell: why there was no association."""
    address = (node.host, node.port)
    try:
        with socket.create_connection(address, node.timeouts.connect_s) as connection:
            if node.tls is not None:
                node.tls.context().wrap_socket(connection, server_hostname=node.host).close()
    except ssl.SSLCertVerificationError:
        message = "the node's certificate is not trusted; name its authority's file with --ca-file"
        return ArchiveUnusable(f"{node.name}: {message}")
    except ssl.SSLError:
        return ArchiveUnusable(f"{node.name}: no TLS connection; check that the node speaks TLS here")
    except OSError:
        message = "the node cannot be reached; check the address, the network and that it runs"
        return TryLater(f"{node.name}: {message}", unreachable=True)
    message = "the node broke off the connection; check whether it wants TLS or a certificate, and its log"
    return TryLater(f"{node.name}: {message}", unreachable=True)
