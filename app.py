"""The whole system on one screen: the app, its endpoints, its workers."""

from chalice.app import Chalice

from chalicelib.auth.routes import api as auth
from chalicelib.catalogue.routes import api as catalogue
from chalicelib.catalogue.worker import jobs as catalogue_jobs
from chalicelib.core.http import complete
from chalicelib.documentation.routes import api as documentation
from chalicelib.events.routes import api as events
from chalicelib.events.worker import jobs as event_jobs
from chalicelib.exports.routes import api as exports
from chalicelib.exports.worker import jobs as export_jobs
from chalicelib.learning.routes import api as learning
from chalicelib.personal_data.routes import api as personal_data
from chalicelib.personal_data.worker import jobs as data_jobs
from chalicelib.standings.routes import api as standings
from chalicelib.standings.worker import jobs as standing_jobs
from chalicelib.webhooks.routes import api as webhooks
from chalicelib.webhooks.worker import jobs as webhook_jobs

app = Chalice(app_name="talktiko")

for blueprint in (
    auth,
    catalogue,
    learning,
    standings,
    webhooks,
    events,
    exports,
    personal_data,
    documentation,
):
    app.register_blueprint(blueprint)

for blueprint in (catalogue_jobs, event_jobs, standing_jobs, webhook_jobs, export_jobs, data_jobs):
    app.register_blueprint(blueprint)

complete(app)
