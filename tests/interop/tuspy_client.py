"""Uploads a file with tuspy: in chunks, with checksums, and going on with what another run began.

    python tuspy_client.py ENDPOINT COOKIE FILE
"""

import os
import sys

from tusclient import client

endpoint, cookie, path = sys.argv[1:]
tus = client.TusClient(endpoint, headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})
metadata = {"filename": os.path.basename(path)}

uploader = tus.uploader(path, chunk_size=1_000_000, metadata=metadata)
uploader.upload()
print("uploaded", uploader.url)

checked = tus.uploader(path, chunk_size=700_000, metadata=metadata, upload_checksum=True)
checked.upload()
print("uploaded", checked.url)

begun = tus.uploader(path, chunk_size=900_000, metadata=metadata)
begun.upload_chunk()
begun.upload_chunk()
again = tus.uploader(path, chunk_size=2_000_000, url=begun.url)
assert again.offset == 1_800_000, again.offset
again.upload()
print("uploaded", again.url)
