"Under other light: shift and drift."
