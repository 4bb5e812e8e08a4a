"""What all HTML pages of this tool share: their look, and charts as SVG in their colours."""
