export const metadata = { title: "Orders that survive kill -9" };

export default function Layout({ children }) {
  return (
    <html lang="en">
      <body style={{ font: "16px system-ui", maxWidth: "40rem", margin: "3rem auto" }}>{children}</body>
    </html>
  );
}
