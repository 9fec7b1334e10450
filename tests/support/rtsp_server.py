"""An RTSP camera for the tests: a moving test picture as H.264, by GStreamer's own server.

Run by the system's Python (GStreamer's bindings are Debian packages): ``/usr/bin/python3 rtsp_server.py --port 0``.
Prints the port it listens on, then serves until it is killed; prints for each viewer how the pictures go to it: ``tcp``
or ``udp``. What it serves is the path: ``/stream``, and others that ``STREAMS`` lists.
"""

# mypy: ignore-errors
# (PyGObject builds its modules at run time; there are no types to check against.)

import argparse
import struct
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - the versions must be named before the import

H264 = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay config-interval=-1 name=pay0 pt=96"
SMALL = "video/x-raw,width=320,height=240,framerate=20/1"
BALL = f"videotestsrc is-live=true pattern=ball ! {SMALL}"
STREAMS = {
    "/stream": f"( {BALL} ! {H264} )",
    # The same picture again and again, exactly: what an encoder sends whose sensor has hung.
    "/frozen": f"( videotestsrc is-live=true pattern=black ! {SMALL} ! {H264} )",
    # Each picture holds the moment it was made; see Clock.
    "/clock": f"( appsrc name=clock is-live=true format=time ! videoconvert ! video/x-raw,format=I420 ! {H264} )",
    # Another size after two seconds, on the same connection; see resize.
    "/resized": f"( videotestsrc is-live=true pattern=ball ! capsfilter name=size caps={SMALL} ! {H264} )",
    "/vp8": f"( {BALL} ! vp8enc deadline=1 ! rtpvp8pay name=pay0 pt=96 )",
    "/mjpeg": f"( {BALL},format=I420 ! jpegenc ! rtpjpegpay name=pay0 )",
    # What no camera of use sends: sound only, and pictures in a form that FFmpeg takes from no RTP stream.
    "/sound": "( audiotestsrc is-live=true ! audio/x-raw,rate=16000,channels=1 ! rtpL16pay name=pay0 pt=96 )",
    "/strange": f"( {BALL},format=I420 ! openjpegenc ! rtpj2kpay name=pay0 pt=96 )",
}
CLOCK_SIZE = (320, 240)
CLOCK_FPS = 25


class Clock:
    """Makes pictures whose 32 bars, left to right, are the bits of the monotonic clock in milliseconds."""

    def __init__(self, source):
        self.source = source
        self.made = 0
        width, height = CLOCK_SIZE
        source.set_property(
            "caps",
            Gst.Caps.from_string(f"video/x-raw,format=GRAY8,width={width},height={height},framerate={CLOCK_FPS}/1"),
        )
        self.began_s = time.monotonic()
        GLib.timeout_add(1000 // CLOCK_FPS, self.push)

    def push(self):
        bits = f"{int(time.monotonic() * 1000) & 0xFFFFFFFF:032b}"
        width, height = CLOCK_SIZE
        row = b"".join(struct.pack("B", 235 if bit == "1" else 16) * (width // 32) for bit in bits)
        buffer = Gst.Buffer.new_wrapped(row * height)
        buffer.pts = int((time.monotonic() - self.began_s) * Gst.SECOND)
        buffer.duration = Gst.SECOND // CLOCK_FPS
        self.made += 1
        return self.source.emit("push-buffer", buffer) == Gst.FlowReturn.OK


def prepare(_factory, media):
    """Begin what a stream does by itself."""
    element = media.get_element()
    clock, size = element.get_by_name("clock"), element.get_by_name("size")
    if clock:
        media.clock = Clock(clock)
    if size:
        larger = Gst.Caps.from_string("video/x-raw,width=640,height=480,framerate=20/1")
        GLib.timeout_add(2000, lambda: size.set_property("caps", larger))


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
    for path, pipeline in STREAMS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(pipeline)
        # A pipeline a viewer: a shared one that is torn down by one viewer while the next one asks for it may hang.
        factory.set_shared(False)
        factory.connect("media-configure", prepare)
        server.get_mount_points().add_factory(path, factory)
        if arguments.user:
            restrict(server, factory, arguments.user, arguments.password, arguments.auth)
    if not server.attach(None):
        raise SystemExit(f"cannot listen on port {arguments.port}")
    server.connect("client-connected", lambda _, client: client.connect("play-request", tell_transport))
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
