"""Restricted windows as Hypothesis draws them."""

from hypothesis import strategies as st

from vendorsync_api.schedule import DAY, Window

WINDOWS = st.lists(
    st.builds(
        lambda start, length, days: Window(start, (start + length) % DAY, days),
        st.integers(0, DAY - 1),
        st.integers(1, DAY - 1),
        st.frozensets(st.integers(0, 6), max_size=3),
    ),
    max_size=3,
).map(tuple)
