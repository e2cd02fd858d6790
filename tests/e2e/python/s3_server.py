"""moto's S3 server on a free port of loopback, with one bucket. Prints its URL, and ends with its standard input.

s3_server.py BUCKET
"""

import logging
import sys

import boto3
from moto.server import ThreadedMotoServer

logging.disable(logging.CRITICAL)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://{}:{}".format(*server.get_host_and_port())
keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket=sys.argv[1])
print(url, flush=True)
sys.stdin.read()
