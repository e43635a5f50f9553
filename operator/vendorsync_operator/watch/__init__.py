"""Lists and watches of the three kinds, and which namespaces are seen whole."""
