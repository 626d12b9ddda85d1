"""The paper's experiments and further ones on the user's own radiographs: tables, figures and a report."""
