// index.ts
var hello = {
  name: "hello",
  version: "1.0.0",
  async register(server, services) {
    server.get("/hello", { summary: "Greets the caller" }, (req) => {
      const name = req.user && req.user.kind !== "apiKey" ? req.user.name : "world";
      return { hello: name, at: services.time.now("UTC").toISO() };
    });
    await services.timer.after("hello-first-day", 864e5, {
      type: "event",
      event: "hello:one-day-old",
      payload: { since: services.time.now("UTC").toISO() }
    });
    services.events.on("hello:*", (payload, { event }) => {
      services.log.info({ event, payload }, "heard");
    });
    services.events.emit("hello:initialized", { at: services.time.now("UTC").toISO() });
  }
};
var index_default = hello;
export {
  index_default as default
};
