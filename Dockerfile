# One container is the whole product: it migrates, then runs web and worker. Its data is in /data.
#   docker build -t crmweb . && docker run -p 8000:8000 -v crmweb:/data crmweb
# On PostgreSQL with more than one container, run the lines of the Procfile instead:
#   docker run -e DATABASE_URL=… -e SECRET_KEY=… crmweb gunicorn "crmweb:create_app()"
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8000 CRMWEB_ENV=production CRMWEB_INSTANCE=/data
WORKDIR /app

COPY requirements.lock .
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements.lock

COPY gunicorn.conf.py Procfile LICENSE ./
COPY crmweb crmweb
COPY migrations migrations
COPY static static
COPY templates templates
RUN python -m compileall -q crmweb && useradd --system --uid 1000 crmweb && install -d -o crmweb -g crmweb /data

USER crmweb
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["python", "-m", "crmweb.run"]
