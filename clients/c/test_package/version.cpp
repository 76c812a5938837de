#include <parlor.hpp>

#include <cstdio>

int main()
{
    parlor::Socket socket;
    std::printf("parlor %s\n", parlor_version());
    return socket.open(parlor::Options("nonsense")) == parlor::error(PARLOR_E_URL) ? 0 : 1;
}
