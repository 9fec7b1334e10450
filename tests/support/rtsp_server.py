"""An RTSP camera for the tests: a moving test picture as H.264, by GStreamer's own server.

Run by the system's Python (GStreamer's bindings are Debian packages): ``/usr/bin/python3 rtsp_server.py --port 0``.
Prints the port it listens on, then serves ``/stream`` until it is killed; prints for each viewer how the pictures go to
it: ``tcp`` or ``udp``.
"""

# mypy: ignore-errors
# (PyGObject builds its modules at run time; there are no types to check against.)

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - the versions must be named before the import

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=20/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96 )"
)


def restrict(server, factory, user, password, method):
    """Let only ``user`` in; ``method`` is how the password is asked for."""
    auth = GstRtspServer.RTSPAuth()
    role = "viewer"
    if method == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", role)
    if method == "digest":
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role(role, "media.factory.access", True)
    permissions.add_permission_for_role(role, "media.factory.construct", True)
    factory.set_permissions(permissions)


def tell_transport(_client, context):
    """Print how the viewer wants its pictures."""
    lower = context.sessmedia.get_transports()[0].get_transport().lower_transport
    print("tcp" if lower == GstRtsp.RTSPLowerTrans.TCP else "udp", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=["basic", "digest"], default="basic")
    arguments = parser.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    # A pipeline a viewer: a shared one that is torn down by one viewer while the next one asks for it may hang.
    factory.set_shared(False)
    server.get_mount_points().add_factory("/stream", factory)
    if arguments.user:
        restrict(server, factory, arguments.user, arguments.password, arguments.auth)
    if not server.attach(None):
        raise SystemExit(f"cannot listen on port {arguments.port}")
    server.connect("client-connected", lambda _, client: client.connect("play-request", tell_transport))
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
