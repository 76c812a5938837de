/* OpenSSL and the library in one program, each with a connection over TLS to the same server: `beside_openssl PORT CA`. */
#include "parlor.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_openssl(const char *p_port, const char *p_ca)
{
    char address[64], answer[16] = "";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    BIO *connection;
    SSL *tls = NULL;
    int length;
    if (SSL_CTX_load_verify_locations(context, p_ca, NULL) != 1)
        return 0;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    connection = BIO_new_ssl_connect(context);
    BIO_get_ssl(connection, &tls);
    SSL_set_tlsext_host_name(tls, "localhost");
    SSL_set1_host(tls, "localhost");
    snprintf(address, sizeof address, "127.0.0.1:%s", p_port);
    BIO_set_conn_hostname(connection, address);
    if (BIO_do_connect(connection) != 1)
        return 0;
    BIO_puts(connection, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    length = BIO_read(connection, answer, sizeof answer - 1);
    BIO_free_all(connection);
    SSL_CTX_free(context);
    return length > 12 && strncmp(answer, "HTTP/1.1 200", 12) == 0;
}

int main(int p_count, char **p_arguments)
{
    parlor_config config;
    parlor_client *client;
    char url[100];
    int round;
    if (p_count != 3)
        return 2;
    for (round = 0; round < 3; round++) {
        if (!by_openssl(p_arguments[1], p_arguments[2])) {
            ERR_print_errors_fp(stderr);
            return 1;
        }
        parlor_config_init(&config, sizeof config);
        snprintf(url, sizeof url, "wss://localhost:%s/ws?user=ada", p_arguments[1]);
        config.p_url = parlor_text(url);
        config.p_ca_file = parlor_text(p_arguments[2]);
        if (parlor_open(&config, &client) != PARLOR_OK || parlor_wait_online(client, INT64_C(20000000)) != PARLOR_OK) {
            fprintf(stderr, "%s\n", parlor_last_error());
            return 1;
        }
        parlor_free(client);
    }
    puts("both");
    return 0;
}
