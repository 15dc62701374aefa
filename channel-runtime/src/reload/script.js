// Reloads the page when its server was restarted or a file has changed.
(() => {
  const { src } = document.currentScript;
  const server = new URL(src).searchParams.get("server");
  const listen = () => {
    const events = new EventSource(new URL("events", src));
    events.addEventListener("server", ({ data }) => {
      if (data !== server) location.reload();
    });
    events.addEventListener("changed", () => location.reload());
    // The browser tries again by itself unless the answer was an error.
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 500);
    });
  };
  listen();
})();
