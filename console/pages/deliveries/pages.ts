export { default as Deliveries } from "./deliveries.tsx";
export { default as DeliveryPage } from "./delivery.tsx";
export { default as Webhooks } from "./webhooks.tsx";
