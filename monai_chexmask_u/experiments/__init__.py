"""The paper's experiments and further ones on the user's own films: tables, figures and a report."""
