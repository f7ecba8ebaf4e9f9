// A back end with the handlers of Wix's SDK, unmodified, behind the Worker. They get verified calls from the npm package.

import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";

import { customCharges } from "@wix/app-management/service-plugins";
// The modules that `@wix/ecom/service-plugins` exports under these names. That package would bring sixty others.
import * as additionalFees from "@wix/auto_sdk_ecom_additional-fees";
import * as shippingRates from "@wix/auto_sdk_ecom_shipping-rates";
import { AppStrategy, createClient } from "@wix/sdk";
import { EventError, verifyPluginCall } from "wix-edge-client";

const secrets = process.env.EVENTS_SECRETS.split(",");
const client = createClient({
  auth: AppStrategy({ appId: process.env.APP_ID, appSecret: "not-used" }),
  modules: { customCharges, additionalFees, shippingRates },
});
client.customCharges.provideHandlers({
  getChargeLimit: async ({ request, metadata }) => ({ chargeLimit: `${request.currency} of ${metadata.instanceId}` }),
  listCharges: async () => ({ charges: [] }),
  listUsages: async ({ request }) => ({ usages: request.counterIds.map((counterId) => ({ counterId, quantity: 1 })) }),
  chargesRejectedEvent: async () => ({}),
  usagesRejectedEvent: async () => ({}),
  invoiceCreatedEvent: async () => ({}),
  // As the errors of the SDK's service plugins.
  chargeLimitUpdatedEvent: async () => {
    throw Object.assign(new Error("refused"), { errorType: "SPI", applicationCode: "TOO_LATE", httpCode: 428, data: { a: 1 } });
  },
});

client.shippingRates.provideHandlers({
  getShippingRates: async ({ request, metadata }) => {
    const { postalCode, streetAddress } = request.shippingDestination;
    if (!postalCode) throw new shippingRates.MissingPostalCodeWixError();
    // The SDK converts: `id` is `_id` here, a weight is a number, and a time is a Date.
    const [{ _id, physicalProperties }] = request.lineItems;
    const from = new Date("2026-03-01T09:00:00Z");
    const rate = {
      code: _id,
      title: `${physicalProperties.weight * 2} kg to ${streetAddress.name}`,
      logistics: { deliveryTimeSlot: { from, to: from } },
      cost: { price: "5.90", currency: metadata.currency },
    };
    return { shippingRates: [rate] };
  },
});
client.additionalFees.provideHandlers({
  calculateAdditionalFees: async ({ request, metadata }) => ({
    additionalFees: request.lineItems.map(({ _id, price }) => ({ code: _id, name: "Gift wrap", price: `${price * 2}`, taxDetails: { taxable: true } })),
    currency: metadata.currency,
  }),
});

async function answer({ url, headers }, body) {
  try {
    const call = await verifyPluginCall({ headers, body }, secrets);
    return [200, await client.servicePlugins.executeHandler(call, url)];
  } catch (error) {
    if (error instanceof EventError) return [error.status, { applicationError: { code: error.code } }];
    if (error.errorType === "SPI") return [error.httpCode, { applicationError: { code: error.applicationCode, data: error.data } }];
    return [500, { applicationError: { code: error.message } }];
  }
}

createServer(async (request, response) => {
  const [status, json] = await answer(request, await buffer(request));
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
}).listen(process.env.PORT, "127.0.0.1");
