"""Networks that extractors learn on training videos: trained once, cached, shared by streams."""
