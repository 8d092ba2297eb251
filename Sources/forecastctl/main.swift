print("forecastctl")
