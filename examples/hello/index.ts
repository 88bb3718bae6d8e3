import type { AppModule } from "prism/module";

/** The smallest module with a route, a timer and an event of the bus. */
const hello: AppModule = {
  name: "hello",
  version: "1.0.0",
  async register(server, services) {
    server.get("/hello", { summary: "Greets the caller" }, (req) => {
      const name = req.user && req.user.kind !== "apiKey" ? req.user.name : "world";
      return { hello: name, at: services.time.now("UTC").toISO() };
    });

    // Registering again at every start keeps the pending timer with this label.
    await services.timer.after("hello-first-day", 86_400_000, {
      type: "event",
      event: "hello:one-day-old",
      payload: { since: services.time.now("UTC").toISO() },
    });

    services.events.on("hello:*", (payload, { event }) => {
      services.log.info({ event, payload }, "heard");
    });
    services.events.emit("hello:initialized", { at: services.time.now("UTC").toISO() });
  },
};

export default hello;
