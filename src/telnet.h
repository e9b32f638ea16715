/* telnet.h - the telnet protocol as RFC 2217 needs it: bytes, options, subnegotiations. For either side.
 *
 * Sources: RFC 854, 855, 856 (binary), 858 (no go-ahead), 1143 (options without loops), 2217. */
#ifndef TELNET_H
#define TELNET_H

#include <stddef.h>
#include <stdint.h>

enum {
  TELNET_SE = 240,
  TELNET_BREAK = 243,
  TELNET_SB = 250,
  TELNET_WILL,
  TELNET_WONT,
  TELNET_DO,
  TELNET_DONT,
  TELNET_IAC
};
enum { TELNET_BINARY = 0, TELNET_ECHO = 1, TELNET_SGA = 3, TELNET_COM_PORT = 44 };

/* Commands of the COM-PORT option, as the client sends them. The server answers with 100 more. */
enum {
  RFC2217_SIGNATURE,
  RFC2217_SET_BAUDRATE,
  RFC2217_SET_DATASIZE,
  RFC2217_SET_PARITY,
  RFC2217_SET_STOPSIZE,
  RFC2217_SET_CONTROL,
  RFC2217_NOTIFY_LINESTATE,
  RFC2217_NOTIFY_MODEMSTATE,
  RFC2217_FLOW_SUSPEND,
  RFC2217_FLOW_RESUME,
  RFC2217_SET_LINESTATE_MASK,
  RFC2217_SET_MODEMSTATE_MASK,
  RFC2217_PURGE_DATA,
  RFC2217_SERVER = 100
};

/* Values of SET_CONTROL. */
enum {
  RFC2217_FLOW_ASK,
  RFC2217_FLOW_NONE,
  RFC2217_FLOW_XONXOFF,
  RFC2217_FLOW_HARDWARE,
  RFC2217_BREAK_ASK,
  RFC2217_BREAK_ON,
  RFC2217_BREAK_OFF,
  RFC2217_DTR_ASK,
  RFC2217_DTR_ON,
  RFC2217_DTR_OFF,
  RFC2217_RTS_ASK,
  RFC2217_RTS_ON,
  RFC2217_RTS_OFF
};

/* Bits of NOTIFY_MODEMSTATE; PURGE_DATA values. */
enum { RFC2217_CTS = 0x10, RFC2217_DSR = 0x20, RFC2217_RI = 0x40, RFC2217_DCD = 0x80 };
enum { RFC2217_PURGE_RX = 1, RFC2217_PURGE_TX, RFC2217_PURGE_BOTH };

enum { TELNET_SUB_MAX = 256 };

enum telnet_kind {
  TELNET_NOTHING,
  TELNET_OPTION, /* command is TELNET_WILL, WONT, DO or DONT */
  TELNET_SUBNEGOTIATION,
  TELNET_COMMAND /* any other command, without an option */
};

struct telnet_event {
  enum telnet_kind kind;
  uint8_t command, option;
  const uint8_t *data; /* of a subnegotiation, after the option; inside the decoder */
  size_t size;
};

enum { TELNET_OPTION_UNKNOWN, TELNET_OPTION_ASKED, TELNET_OPTION_ON, TELNET_OPTION_REFUSED };

struct telnet {
  int state;
  uint8_t command;
  uint8_t sub[TELNET_SUB_MAX];
  size_t sub_size;                 /* TELNET_SUB_MAX + 1: too long, to be dropped */
  uint8_t us[256], him[256];       /* TELNET_OPTION_... for what we do and what the other side does */
  uint8_t may_us[32], may_him[32]; /* bit sets: options that we agree to */
};

/* A decoder that agrees to no option. */
void telnet_init(struct telnet *t);

/* Agrees to an option when the other side asks. us: that we do it, him: that the other side does. */
void telnet_allow(struct telnet *t, int option, int us, int him);

/* Decodes up to n bytes, stops behind the first event. Data bytes go to out, which has room for n and may
 * be in; *count is how many. Returns the bytes of in that were used. e->kind is TELNET_NOTHING without an
 * event. */
size_t telnet_decode(struct telnet *t, const uint8_t *in, size_t n, uint8_t *out, size_t *count,
                     struct telnet_event *e);

/* Takes note of a TELNET_OPTION event. Writes the answer if one is due; returns its size, 0 or 3. */
size_t telnet_answer(struct telnet *t, const struct telnet_event *e, uint8_t out[3]);

/* Asks for an option: command is TELNET_WILL (we offer) or TELNET_DO. Writes 3 bytes; returns 3. */
size_t telnet_ask(struct telnet *t, int command, int option, uint8_t out[3]);

/* Doubles every 255. Stops when out is full; *used is the bytes of in that went in. Returns the bytes of out.
 */
size_t telnet_escape(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *used);

/* Writes a COM-PORT subnegotiation with up to 16 bytes of data; out needs 7 + 2 * n bytes. Returns its size.
 */
size_t telnet_com_port(uint8_t command, const uint8_t *data, size_t n, uint8_t *out);

#endif
