import streamlit as st
st.write("costs")
