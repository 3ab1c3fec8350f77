"""What Streamlit runs: `streamlit run dashboard/app.py`."""

import streamlit as st

from dashboard.data import load_settings
from dashboard.page import show_page

st.set_page_config(page_title="ASEAGI", page_icon=":material/balance:", layout="wide")
show_page(load_settings)
