"""Prove that no multipart upload is open below an address: each would cost money unseen.

Usage: no_open_uploads.py s3://BUCKET/PREFIX
"""

import os
import sys

import botocore.session


def main() -> None:
    bucket, prefix = sys.argv[1].removeprefix("s3://").split("/", 1)
    session = botocore.session.get_session()
    s3 = session.create_client(
        "s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_REGION"]
    )
    found = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    if found:
        sys.exit(f"FAIL open uploads: {[upload['Key'] for upload in found]}")
    print(f"OK no open upload below {sys.argv[1]}")


if __name__ == "__main__":
    main()
