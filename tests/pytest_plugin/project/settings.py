"""The settings that pytest-django needs."""

SECRET_KEY = "of-the-project"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
