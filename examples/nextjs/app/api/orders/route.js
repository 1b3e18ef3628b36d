// Places an order, which starts the workflow.
import { SAMPLE_ORDER } from "../../../../../tooling/workflow/order-workflow.mjs";
import { getWorker } from "../../../lib/worker.js";

export async function POST() {
  const id = await getWorker().publish({ name: "order.placed", data: SAMPLE_ORDER });
  return Response.json({ id }, { status: 202 });
}
