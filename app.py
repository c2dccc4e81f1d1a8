"""The whole system on one screen: the app, its endpoints, its workers."""

from chalice.app import Chalice

from chalicelib.auth.routes import api as auth
from chalicelib.core.http import complete

app = Chalice(app_name="talktiko")

for blueprint in (auth,):
    app.register_blueprint(blueprint)

complete(app)
