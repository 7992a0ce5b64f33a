"""A network, its plan and what was built of it as one HTML file: its sections and the page."""
