"""Pictures of records, one kind a module: `draw_*` reads records, writes one picture and returns
its caption.

`style` has what they share: colours, sizes, captions, how a picture is saved; `scored` what they
need of a record. A new kind is a module with one `draw_*` function and a command in
`vadbench.cli.figures`.
"""
