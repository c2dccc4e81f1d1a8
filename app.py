"""The whole system on one screen: the app, its endpoints, its workers."""

from chalice.app import Chalice

from chalicelib.auth.routes import api as auth
from chalicelib.catalogue.routes import api as catalogue
from chalicelib.catalogue.worker import jobs as catalogue_jobs
from chalicelib.core.http import complete
from chalicelib.documentation.routes import api as documentation
from chalicelib.events.worker import jobs as event_jobs
from chalicelib.exports.routes import api as exports
from chalicelib.exports.worker import jobs as export_jobs
from chalicelib.learning.routes import api as learning
from chalicelib.webhooks.routes import api as webhooks
from chalicelib.webhooks.worker import jobs as webhook_jobs

app = Chalice(app_name="talktiko")

for blueprint in (auth, catalogue, learning, webhooks, exports, documentation):
    app.register_blueprint(blueprint)

for blueprint in (catalogue_jobs, event_jobs, webhook_jobs, export_jobs):
    app.register_blueprint(blueprint)

complete(app)
