/**
 * An online shop's order, from the basket to the parcel: ten steps, most of which must not happen twice. The services
 * behind the steps are simulated; each takes its time and writes to the journal.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";

const FUNCTION_ID = "process-order";

/** The steps in their order. */
export const STEPS = [
  "validate-order",
  "reserve-stock",
  "calculate-price",
  "check-fraud",
  "charge-payment",
  "create-invoice",
  "pack-parcel",
  "book-courier",
  "credit-loyalty-points",
  "send-confirmation",
];

const PRICES = { "espresso-machine": 24_900, "coffee-beans": 1_450, "milk-jug": 1_200 };
const VAT_PERCENT = 19;
const FREE_SHIPPING_FROM = 20_000;
const SHIPPING = 490;

/** The order that the demo places. */
export const SAMPLE_ORDER = {
  number: 1042,
  customer: "ada@example.com",
  items: [
    { sku: "espresso-machine", quantity: 1 },
    { sku: "coffee-beans", quantity: 3 },
  ],
};

/**
 * The id of the workflow or of one of its steps, in the store.
 *
 * @param {string} [step]
 */
export function taskId(step) {
  return step === undefined ? FUNCTION_ID : `${FUNCTION_ID}:${step}`;
}

/**
 * Registers the workflow for the event `order.placed`, whose data is the order.
 *
 * @param {ReturnType<import("./worker.mjs").createWorker>} worker
 * @param {object} options
 * @param {(entry: { event: "start" | "done", step: string }) => void} options.journal called when a step's body starts and
 *   when it is done, not at the commit
 * @param {(step: string) => number} options.duration milliseconds that the service behind a step takes
 */
export function registerOrderWorkflow(worker, { journal, duration }) {
  const services = {
    "validate-order": (order) => {
      const unknown = order.items.find(({ sku }) => !Object.hasOwn(PRICES, sku));
      if (unknown) throw new Error(`There is no article "${unknown.sku}"`);
      return { articles: order.items.length };
    },
    "reserve-stock": (order) => ({ reservation: shortId("R"), units: sum(order.items, ({ quantity }) => quantity) }),
    "calculate-price": (order) => priceOf(order),
    "check-fraud": (_order, { total }) => ({ risk: total > 100_000 ? "high" : "low" }),
    "charge-payment": (_order, { total }) => ({ payment: shortId("P"), charged: total, byProcess: process.pid }),
    "create-invoice": (order, { net, vat }) => ({ invoice: `INV-${order.number}`, net, vat }),
    "pack-parcel": (order, { units }) => ({ parcel: shortId("B"), units, order: order.number }),
    "book-courier": (_order, { parcel }) => ({ tracking: shortId("T"), parcel }),
    "credit-loyalty-points": (_order, { total }) => ({ points: Math.floor(total / 100) }),
    "send-confirmation": (order, { tracking }) => ({ to: order.customer, tracking }),
  };

  worker.createFunction({ id: FUNCTION_ID, event: "order.placed" }, async ({ data: order }, run) => {
    // What the steps have found out so far. It is never kept anywhere: a replay puts it together from their results.
    let known = {};
    for (const step of STEPS) {
      const result = await run(step, async () => {
        journal({ event: "start", step });
        await delay(duration(step));
        const outcome = services[step](order, known);
        journal({ event: "done", step });
        return outcome;
      });
      known = { ...known, ...result };
    }
    const { total, payment, byProcess, invoice, tracking, points } = known;
    return { order: order.number, total, payment, chargedByProcess: byProcess, invoice, tracking, points };
  });
}

/**
 * What an order costs.
 *
 * @param {typeof SAMPLE_ORDER} order
 * @returns {{ net: number, vat: number, total: number }} in cents
 */
export function priceOf(order) {
  const goods = sum(order.items, ({ sku, quantity }) => PRICES[sku] * quantity);
  const total = goods + (goods >= FREE_SHIPPING_FROM ? 0 : SHIPPING);
  const net = Math.round((total * 100) / (100 + VAT_PERCENT));
  return { net, vat: total - net, total };
}

function sum(list, numberOf) {
  return list.reduce((total, element) => total + numberOf(element), 0);
}

function shortId(letter) {
  return `${letter}-${randomUUID().slice(0, 8)}`;
}
