"""The archive: fetch a study by DICOMweb, and deliver results by STOW-RS or C-STORE through an outbox."""
